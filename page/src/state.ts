/** The conversations, which of them is shown, and which are being replied to. */

import { computed, signal } from "@preact/signals";
import { listModels, RequestFailure } from "./api";
import { stored, store } from "./prefs";
import * as storage from "./storage";
import type { Conversation, Failure, ModelCard, Progress, Sampling } from "./types";

/** A reply on its way. */
export interface Run {
  controller: AbortController;
  messageId: string;
  /** In ms of performance.now(). */
  started: number;
  progress: Progress | null;
  isWriting: boolean;
}

export interface Notice {
  text: string;
  undo?: () => void;
}

export const conversations = signal<Conversation[]>([]);
export const currentId = signal("");
export const runs = signal<Record<string, Run>>({});
export const models = signal<ModelCard[]>([]);
/** Why the models are not known. */
export const modelsFailure = signal<Failure | null>(null);
export const keepsNothing = signal(false);
export const notice = signal<Notice | null>(null);
/** What a screen reader is told next. */
export const announcement = signal("");

export type Panel = "chat" | "preferences" | "key" | "shortcuts" | null;
export const panel = signal<Panel>(null);
export const drawerIsOpen = signal(false);

export const newId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => byte.toString(36).padStart(2, "0")).join("");

interface Defaults {
  system: string;
  sampling: Sampling;
  tools: string;
  model: string;
  shorten: boolean;
}

function defaults(): Defaults {
  const none: Defaults = { system: "", sampling: {}, tools: "", model: "", shorten: false };
  try {
    return { ...none, ...(JSON.parse(stored("defaults") ?? "{}") as Partial<Defaults>) };
  } catch {
    return none;
  }
}

export function keepDefaults({ system, sampling, tools, model, shorten }: Conversation): void {
  store("defaults", JSON.stringify({ system, sampling, tools, model, shorten } satisfies Defaults));
}

export function fresh(): Conversation {
  const now = Date.now();
  return { id: newId(), title: "", created: now, updated: now, messages: [], ...defaults() };
}

/** Is in the list once something has been said in it. */
const draft = signal(fresh());

export const current = computed(
  () => conversations.value.find(({ id }) => id === currentId.value) ?? draft.value,
);
export const currentRun = computed(() => runs.value[current.value.id] ?? null);

export const card = computed<ModelCard | null>(() => {
  const wanted = current.value.model;
  return models.value.find(({ id }) => id === wanted) ?? models.value[0] ?? null;
});

export const find = (id: string): Conversation | undefined =>
  draft.value.id === id ? draft.value : conversations.value.find((it) => it.id === id);

const unsaved = new Map<string, ReturnType<typeof setTimeout>>();
const SAVE_MS = 500;
/** What is on its way to the database. */
const saving = new Map<string, Conversation>();

/** Change a conversation that is shown or kept; it is saved soon after. */
export function update(id: string, change: (conversation: Conversation) => Partial<Conversation>): void {
  if (draft.value.id === id) {
    const changed = { ...draft.value, ...change(draft.value) };
    if (!changed.messages.length) {
      draft.value = changed;
      return;
    }
    draft.value = fresh();
    conversations.value = [changed, ...conversations.value];
    currentId.value = id;
    setHash();
  } else {
    conversations.value = conversations.value.map((it) => (it.id === id ? { ...it, ...change(it) } : it));
  }
  if (!unsaved.has(id)) unsaved.set(id, setTimeout(() => flush(id), SAVE_MS));
}

export function flush(id: string): void {
  clearTimeout(unsaved.get(id));
  unsaved.delete(id);
  const conversation = conversations.value.find((it) => it.id === id);
  if (!conversation) return;
  saving.set(id, conversation);
  storage
    .save(conversation)
    .catch(() => (keepsNothing.value = true))
    .finally(() => saving.get(id) === conversation && saving.delete(id));
}

// A page that is left has no time for its database: what is not saved yet waits beside it.
addEventListener("pagehide", () => {
  const late = conversations.value.filter(({ id }) => unsaved.has(id) || saving.has(id));
  if (late.length) store("unsaved", JSON.stringify(late));
  late.forEach(({ id }) => flush(id));
});

function takeUnsaved(): Conversation[] {
  const text = stored("unsaved");
  store("unsaved", "");
  try {
    return JSON.parse(text ?? "[]") as Conversation[];
  } catch {
    return [];
  }
}

export function open(id: string): void {
  currentId.value = id;
  drawerIsOpen.value = false;
  setHash();
}

export function openNew(): void {
  draft.value = fresh();
  open("");
}

function setHash(): void {
  const hash = currentId.value ? `#${currentId.value}` : "";
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
}

function followHash(): void {
  currentId.value = location.hash.slice(1);
}

export function add(found: Conversation[]): void {
  conversations.value = [...found, ...conversations.value];
  for (const conversation of found) flush(conversation.id);
}

export function remove(id: string): void {
  const conversation = conversations.value.find((it) => it.id === id);
  if (!conversation) return;
  runs.value[id]?.controller.abort();
  clearTimeout(unsaved.get(id));
  unsaved.delete(id);
  conversations.value = conversations.value.filter((it) => it.id !== id);
  storage.remove(id).catch(() => undefined);
  if (currentId.value === id) openNew();
}

export function removeAll(): void {
  for (const run of Object.values(runs.value)) run.controller.abort();
  unsaved.forEach((timer) => clearTimeout(timer));
  unsaved.clear();
  conversations.value = [];
  storage.removeAll().catch(() => undefined);
  openNew();
}

export async function refreshModels(): Promise<void> {
  try {
    models.value = await listModels();
    modelsFailure.value = null;
  } catch (error) {
    if (!(error instanceof RequestFailure)) throw error;
    modelsFailure.value = error.failure;
    if (error.failure.status === 401) panel.value = "key";
  }
}

const FIRST_MS = 500;

export async function start(): Promise<void> {
  const found = await storage.loadAll();
  keepsNothing.value = found === null;
  const late = takeUnsaved();
  conversations.value = (found ?? []).filter(({ id }) => !late.some((it) => it.id === id));
  if (late.length) add(late);
  followHash();
  addEventListener("popstate", followHash);
  storage.onChange((change) => {
    if ("cleared" in change) conversations.value = [];
    else if ("removed" in change) {
      conversations.value = conversations.value.filter(({ id }) => id !== change.removed);
    } else if (!runs.value[change.saved.id]) {
      const others = conversations.value.filter(({ id }) => id !== change.saved.id);
      conversations.value = [change.saved, ...others];
    }
  });
  // A server that starts shows that first, not the chat for a moment; a slow one is not waited for.
  await Promise.race([refreshModels(), new Promise((resolve) => setTimeout(resolve, FIRST_MS))]);
}
