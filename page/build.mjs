// Builds the chat page into the package: node build.mjs [FOLDER]
//
// The same sources and packages give the same bytes: names of files hold a hash of what is in them,
// and nothing tells of the machine or the time. LICENSES.txt has the licence of every package of
// which something is in the output.

import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "../glm3edge/server/static/chat"));

// Every browser that the page can run in knows WOFF2; KaTeX lists older formats after it.
const onlyWoff2 = {
  name: "only-woff2",
  setup(hooks) {
    hooks.onLoad({ filter: /katex[\\/]dist[\\/]katex\.css$/ }, async ({ path }) => {
      const css = await readFile(path, "utf8");
      return { contents: css.replaceAll(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, ""), loader: "css" };
    });
  },
};

const { metafile, outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { main: "src/main.tsx", boot: "src/boot.ts", style: "src/style.css", icon: "src/icon.svg" },
  outdir: target,
  write: false,
  bundle: true,
  splitting: true,
  format: "esm",
  minify: true,
  charset: "utf8",
  target: ["chrome123", "firefox121", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  loader: { ".woff2": "file", ".svg": "copy" },
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  legalComments: "none", // LICENSES.txt has them all
  metafile: true,
  plugins: [onlyWoff2],
});

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
for (const { path, contents } of outputFiles) await writeFile(path, contents);
await writeFile(join(target, "index.html"), await page());
await writeFile(join(target, "LICENSES.txt"), await licenses());

/** index.html with the names that the entry points got. */
async function page() {
  const names = {};
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint) names[entryPoint] = path.split("/").at(-1);
  }
  const html = await readFile(join(here, "src/index.html"), "utf8");
  return html.replaceAll(/\/chat\/(src\/[\w.]+)/g, (_, entry) => {
    if (!names[entry]) throw new Error(`index.html names ${entry}, which is no entry point`);
    return `/chat/${names[entry]}`;
  });
}

async function licenses() {
  const folders = new Set();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const path of Object.keys(inputs)) {
      const match = /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path);
      if (match) folders.add(match[0]);
    }
  }
  const parts = ["The chat page holds parts of these packages, under these licences.\n"];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
    const file = (await readdir(join(here, folder))).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? (await readFile(join(here, folder, file), "utf8")).trim() : "";
    parts.push(`${"=".repeat(80)}\n${name} ${version}: ${license}\n\n${text}\n`);
  }
  return parts.join("\n").replaceAll("\r\n", "\n");
}
