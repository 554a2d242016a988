/**
 * Markdown to DOM nodes that are safe whatever the text is.
 *
 * Three things stand between a model's text and the page: markdown-it makes no HTML of HTML, and
 * links only of what leads to a web page or an address of mail; DOMPurify lets only the few elements
 * through that it makes; and the page's Content-Security-Policy runs no script but the page's own.
 * Nothing is loaded: images become links.
 *
 * highlight.js and KaTeX come when a text first needs them. `arrivals` counts what has come, so that
 * whoever shows such a text shows it again.
 */

import { tex } from "@mdit/plugin-tex";
import { signal } from "@preact/signals";
import DOMPurify from "dompurify";
import type { HLJSApi } from "highlight.js";
import MarkdownIt from "markdown-it";
import { cjk } from "./cjk";

type Env = Record<string, unknown>;
type Math = { render: (source: string, display: boolean) => Node };

export const arrivals = signal(0);

let highlighter: HLJSApi | null = null;
let math: Math | null = null;
const asked = new Set<string>();

function ask(name: string, load: () => Promise<void>): void {
  if (asked.has(name)) return;
  asked.add(name);
  load().then(
    () => (arrivals.value += 1),
    () => asked.delete(name), // the server is away; the text stays readable without
  );
}

const md = new MarkdownIt({ html: false, linkify: true, breaks: true, typographer: false });
md.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
md.validateLink = (url: string) => /^(?:https?:\/\/|mailto:)/i.test(url.trim());
md.use(cjk);

const escape = md.utils.escapeHtml;

// The plugin's types are those of an older markdown-it.
(md.use as (plugin: unknown, options: unknown) => void).call(md, tex, {
  delimiters: "all",
  mathFence: true,
  render: (source: string, display: boolean) =>
    `<span class="${display ? "math display" : "math"}">${escape(source)}</span>`,
});

md.renderer.rules.image = (tokens, index) => {
  const token = tokens[index]!;
  const url = String(token.attrGet("src") ?? "");
  const text = token.content || url;
  return `<a class="image" href="${escape(url)}">${escape(text)}</a>`;
};

md.renderer.rules.fence = (tokens, index) => {
  const token = tokens[index]!;
  return code(token.content, token.info.trim().split(/\s+/)[0] ?? "");
};

// The Content-Security-Policy forbids the inline styles that columns are aligned with.
for (const rule of ["th_open", "td_open"]) {
  md.renderer.rules[rule] = (tokens, index, options, _env, self) => {
    const token = tokens[index]!;
    const side = /text-align:(\w+)/.exec(String(token.attrGet("style")))?.[1];
    token.attrs = side ? [["class", `align-${side}`]] : null;
    return self.renderToken(tokens, index, options);
  };
}
md.renderer.rules.code_block = (tokens, index) => code(tokens[index]!.content, "");

function code(text: string, name: string): string {
  const shown = escape(name.slice(0, 40));
  return `<pre data-language="${shown}"><code>${highlighted(text, name.toLowerCase()) ?? escape(text)}</code></pre>`;
}

function highlighted(text: string, name: string): string | null {
  if (!name) return null;
  if (!highlighter) {
    ask("highlight", async () => {
      highlighter = (await import("highlight.js/lib/common")).default;
    });
    return null;
  }
  if (!highlighter.getLanguage(name)) return null;
  return highlighter.highlight(text, { language: name, ignoreIllegals: true }).value;
}

const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol",
    "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["href", "title", "class", "start", "data-language"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ADD_URI_SAFE_ATTR: ["data-language", "start"],
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  RETURN_DOM_FRAGMENT: true as const,
};

/** A block of the text, and the nodes that show it once they are wanted. */
export interface Block {
  /** Equal for blocks that look the same. */
  key: string;
  nodes: () => DocumentFragment;
}

/** The text as blocks, from the first to the last: only those that changed need new nodes. */
export function blocks(text: string): Block[] {
  const env: Env = {};
  const tokens = md.parse(text, env);
  const lines = text.split("\n");
  const found: Block[] = [];
  let start = 0;
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index]!;
    if (token.level !== 0 || token.nesting === 1) continue;
    const group = tokens.slice(start, index + 1);
    const [from, to] = group[0]!.map ?? [0, lines.length];
    start = index + 1;
    const key = `${group[0]!.type} ${arrivals.value}\n${lines.slice(from, to).join("\n")}`;
    found.push({ key, nodes: () => safe(md.renderer.render(group, md.options, env)) });
  }
  return found;
}

/** The text as it is read aloud: without Markdown's marks. */
export function spoken(text: string): string {
  const parts: string[] = [];
  for (const token of md.parse(text, {})) {
    if (token.children) parts.push(token.children.map(({ type, content }) => (/break$/.test(type) ? " " : content)).join(""));
    else if (token.content) parts.push(token.content);
  }
  return parts.join("\n");
}

function safe(html: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(html, ALLOWED);
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const cell of fragment.querySelectorAll("table")) {
    const frame = document.createElement("div");
    frame.className = "table";
    frame.tabIndex = 0;
    cell.replaceWith(frame);
    frame.append(cell);
  }
  for (const span of fragment.querySelectorAll("span.math")) showMath(span);
  return fragment;
}

function showMath(span: Element): void {
  const source = span.textContent ?? "";
  if (!math) {
    ask("math", async () => {
      math = await import("./math");
    });
    return;
  }
  try {
    span.replaceChildren(math.render(source, span.classList.contains("display")));
  } catch (error) {
    span.classList.add("unreadable"); // the source is shown
    span.setAttribute("title", error instanceof Error ? error.message : "");
  }
}
