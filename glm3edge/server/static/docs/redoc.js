"use strict";

const fonts = "system-ui, sans-serif"; // Redoc's own come from the internet

Redoc.init(
  "openapi.json",
  { theme: { typography: { fontFamily: fonts, headings: { fontFamily: fonts } } } },
  document.getElementById("redoc"),
);
