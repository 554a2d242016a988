/** A text as Markdown. While it grows, only the blocks that change are made anew. */

import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { blocks } from "../markdown";
import { copyText } from "./copy";

export function MarkdownView({ text }: { text: string }): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const shown = useRef<string[]>([]);
  const found = blocks(text);
  const labels = `${t("code.copy")} ${t("code.label")}`;
  const words = useRef(labels);
  useLayoutEffect(() => {
    const root = host.current!;
    if (words.current !== labels) {
      words.current = labels;
      shown.current = [];
      root.replaceChildren();
    }
    found.forEach(({ key, nodes }, index) => {
      if (shown.current[index] === key) return;
      shown.current[index] = key;
      const block = document.createElement("div");
      block.className = "block";
      block.append(nodes());
      dress(block);
      const old = root.children[index];
      if (old) old.replaceWith(block);
      else root.append(block);
    });
    shown.current.length = found.length;
    while (root.children.length > found.length) root.lastElementChild?.remove();
  });
  return <div ref={host} class="markdown" dir="auto" />;
}

/** Give code its bar, and names to what can be scrolled by keys. */
function dress(block: HTMLElement): void {
  for (const frame of block.querySelectorAll<HTMLElement>(".table")) {
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", t("table.label"));
  }
  for (const pre of block.querySelectorAll("pre")) {
    const language = pre.dataset.language ?? "";
    const frame = document.createElement("div");
    frame.className = "code";
    const bar = document.createElement("div");
    bar.className = "code-bar";
    const name = document.createElement("span");
    name.textContent = language || t("code.label");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = t("code.copy");
    button.addEventListener("click", () => void copyCode(button, pre.textContent ?? ""));
    bar.append(name, button);
    pre.tabIndex = 0;
    pre.setAttribute("role", "group");
    pre.setAttribute("aria-label", `${t("code.label")} ${language}`.trim());
    pre.replaceWith(frame);
    frame.append(bar, pre);
  }
}

async function copyCode(button: HTMLButtonElement, text: string): Promise<void> {
  const done = await copyText(text);
  button.textContent = done ? t("code.copied") : t("message.copyFailed");
  setTimeout(() => (button.textContent = t("code.copy")), 2000);
}
