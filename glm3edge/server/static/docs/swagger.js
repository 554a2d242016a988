"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false, // a key stays in this page only
  tryItOutEnabled: true,
  validatorUrl: null, // Swagger's own is on the internet
});
