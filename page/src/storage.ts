/** Conversations in the browser's IndexedDB, one entry each. */

import { clear, createStore, del, entries, set, type UseStore } from "idb-keyval";
import type { Conversation } from "./types";

let database: UseStore | null = null;

/** All that is kept; null where the browser keeps nothing, as some do in private windows. */
export async function loadAll(): Promise<Conversation[] | null> {
  try {
    database = createStore("glm3edge", "conversations");
    const found = await entries<string, Conversation>(database);
    return found.map(([, conversation]) => conversation);
  } catch {
    database = null;
    return null;
  }
}

// Other tabs show the same conversations.
const channel = "BroadcastChannel" in window ? new BroadcastChannel("glm3edge.conversations") : null;

export type Change = { saved: Conversation } | { removed: string } | { cleared: true };

export function onChange(listener: (change: Change) => void): void {
  channel?.addEventListener("message", (event: MessageEvent<Change>) => listener(event.data));
}

export async function save(conversation: Conversation): Promise<void> {
  if (!database) return;
  await set(conversation.id, conversation, database);
  channel?.postMessage({ saved: conversation } satisfies Change);
}

export async function remove(id: string): Promise<void> {
  if (!database) return;
  await del(id, database);
  channel?.postMessage({ removed: id } satisfies Change);
}

export async function removeAll(): Promise<void> {
  if (!database) return;
  await clear(database);
  channel?.postMessage({ cleared: true } satisfies Change);
}
