/** Keys: what they do, and a list of them. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { stop } from "../chat";
import { t, type Key } from "../i18n";
import { currentRun, drawerIsOpen, openNew, panel } from "../state";
import { focusComposer } from "./composer";
import { Dialog } from "./dialog";
import { isMac } from "./keys";
import { focusSearch } from "./sidebar";

const COMMAND = isMac ? "⌘" : "Ctrl";

const LIST: [Key, string[]][] = [
  ["shortcuts.send", ["Enter"]],
  ["shortcuts.line", ["Shift", "Enter"]],
  ["shortcuts.stop", ["Esc"]],
  ["shortcuts.edit", ["↑"]],
  ["shortcuts.focus", ["/"]],
  ["shortcuts.new", [COMMAND, "Shift", "O"]],
  ["shortcuts.search", [COMMAND, "K"]],
  ["shortcuts.settings", [COMMAND, ","]],
  ["shortcuts.help", [COMMAND, "/"]],
];

export function Shortcuts(): JSX.Element {
  return (
    <Dialog title={t("shortcuts")} onClose={() => (panel.value = null)} class="small">
      <dl class="shortcuts">
        {LIST.map(([name, keys]) => (
          <div key={name}>
            <dt>{t(name)}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

export function useShortcuts(): void {
  useEffect(() => {
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  action();
}

function actionOf(event: KeyboardEvent): (() => void) | null {
  const key = event.key.toLowerCase();
  const isCommand = isMac ? event.metaKey : event.ctrlKey;
  if (panel.value) return null;
  if (key === "escape") {
    if (drawerIsOpen.value) return () => void (drawerIsOpen.value = false);
    return currentRun.value ? stop : null;
  }
  if (isCommand && event.shiftKey && key === "o") {
    return () => {
      openNew();
      focusComposer();
    };
  }
  if (isCommand && !event.shiftKey) {
    if (key === "k") return focusSearch;
    if (key === ",") return () => void (panel.value = "chat");
    if (key === "/") return () => void (panel.value = "shortcuts");
  }
  const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select");
  return key === "/" && !isCommand && !isTyping ? focusComposer : null;
}
