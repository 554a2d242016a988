/**
 * Bold, italic and struck text in Chinese, Japanese and Korean.
 *
 * In CommonMark `**` after punctuation closes only before a space or more punctuation, so
 * `**标题：**内容` has no bold text. Beside East Asian text `*`, `**` and `~~` open unless a space
 * follows and close unless one precedes, as in the CJK-friendly amendments to CommonMark
 * (https://github.com/tats-u/markdown-cjk-friendly). `_` keeps its rule, for names like snake_case.
 *
 * The terminal chat has the same rule: glm3edge/commands/chat/terminal/cjk.py.
 */

import type { MarkdownIt } from "markdown-it";

// East Asian blocks and, beyond the amendments, what Chinese shares with English: quotation marks,
// dash and ellipsis.
const CJK =
  /[‘’“”—…\u1100-\u11ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe10-\ufe1f\ufe30-\ufe6f\uff00-\uffef\u{20000}-\u{3ffff}]/u;

export function cjk(md: MarkdownIt): void {
  const isSpace = (character: string) => md.utils.isWhiteSpace(character.codePointAt(0)!);
  md.inline.State = class extends md.inline.State {
    override scanDelims(start: number, canSplitWord: boolean) {
      const found = super.scanDelims(start, canSplitWord);
      const end = start + found.length;
      const before = [...this.src.slice(Math.max(start - 2, 0), start)].at(-1) ?? " ";
      const after = [...this.src.slice(end, Math.min(end + 2, this.posMax))][0] ?? " ";
      if (!canSplitWord || !CJK.test(before + after)) return found;
      return { ...found, can_open: !isSpace(after), can_close: !isSpace(before) };
    }
  };
}
