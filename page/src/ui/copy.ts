/** Copies a text; whether that worked. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Not allowed that way; there is an older one.
  }
  // Pages that are not served over HTTPS, from another machine, have no clipboard.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "offscreen";
  const before = document.activeElement;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}
