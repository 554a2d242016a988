/** Formulas, set by KaTeX. */

import katex from "katex";

interface TreeNode {
  attributes?: Record<string, string>;
  children?: TreeNode[];
  toNode?: () => Node;
}

const renderToDomTree = (katex as unknown as { __renderToDomTree: (source: string, options: object) => TreeNode })
  .__renderToDomTree;

/**
 * A formula's nodes. They are made with the DOM's own methods: inline styles in HTML text are what
 * the page's Content-Security-Policy forbids.
 *
 * Throws katex.ParseError where the source is no TeX that KaTeX knows.
 */
export function render(source: string, displayMode: boolean): Node {
  const tree = renderToDomTree(source, {
    displayMode,
    throwOnError: true,
    strict: "ignore",
    trust: false, // no links, no images, no classes of the text's choice
    maxExpand: 500,
    maxSize: 40,
    output: "htmlAndMathml",
  });
  dropStyles(tree);
  if (!tree.toNode) throw new TypeError("KaTeX made no node");
  return tree.toNode();
}

/** Three commands style MathML, which only screen readers see, with attributes. */
function dropStyles(node: TreeNode): void {
  if (node.attributes) delete node.attributes.style;
  node.children?.forEach(dropStyles);
}
