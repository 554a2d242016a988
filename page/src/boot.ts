/** Runs before the page is drawn, so that it never shows in the colours that were not chosen. */
{
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("glm3edge.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // A browser that keeps nothing follows the system.
  }
}
