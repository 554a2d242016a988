/** Which keys send. */

/**
 * Whether a key press means "send". Enter also ends the composition of Chinese by an input method,
 * and then means nothing else; Safari tells so by the key code alone.
 */
export function isSend(event: KeyboardEvent): boolean {
  if (event.key !== "Enter" || event.shiftKey || event.altKey) return false;
  return !event.isComposing && event.keyCode !== 229;
}

export const isMac = /mac|iphone|ipad/i.test(navigator.platform);

/** A shortcut as it is shown. */
export const shortcut = (key: string): string => (isMac ? `⌘${key}` : `Ctrl+${key}`);
