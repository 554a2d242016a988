/** Files to and from the user. */

import { t } from "../i18n";
import { add, conversations, newId, notice } from "../state";
import { exported, imported, ImportError, normal } from "../transfer";
import type { Conversation } from "../types";

export function download(found: Conversation[]): void {
  const url = URL.createObjectURL(new Blob([exported(found)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${nameOf(found)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function nameOf(found: Conversation[]): string {
  const day = new Date().toISOString().slice(0, 10);
  const [only] = found;
  const title = found.length === 1 && only ? only.title.replaceAll(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40) : "";
  return ["glm3edge", title, day].filter(Boolean).join("-");
}

/** Let the user choose a file, and take what is in it. */
export function chooseImport(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = ".json,application/json";
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) void takeFile(file);
  });
  input.click();
}

async function takeFile(file: File): Promise<void> {
  try {
    const found = imported(await file.text());
    const known = new Map(conversations.value.map((it) => [it.id, normal(it)]));
    const changed = found.filter((it) => known.get(it.id) !== normal(it));
    // Whatever is here already stays as it is.
    add(changed.map((it) => (known.has(it.id) ? { ...it, id: newId() } : it)));
    notice.value = {
      text: changed.length ? t("prefs.imported", { n: changed.length }) : t("prefs.importedNone"),
    };
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    notice.value = { text: t("prefs.importFailed", { place: error.place }) };
  }
}
