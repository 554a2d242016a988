/** The server's routes, as the page uses them. */

import { createParser } from "eventsource-parser";
import { apiKey } from "./prefs";
import type { Failure, ModelCard, Progress, Start } from "./types";

export class RequestFailure extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export interface CallPiece {
  index: number;
  id?: string;
  function?: { name?: string; arguments?: string };
}

export interface Chunk {
  choices: {
    delta?: { content?: string | null; tool_calls?: CallPiece[] };
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number };
  } | null;
  prompt_progress?: Progress;
  truncation?: { dropped_messages: number };
}

/** The models that can chat: the first, and its adapters. Others make embeddings. */
export async function listModels(): Promise<ModelCard[]> {
  const response = await send("/v1/models", { method: "GET" });
  const { data } = (await response.json()) as { data: ModelCard[] };
  const first = data[0];
  return data.filter((card) => card === first || (first && card.parent === first.id));
}

/** A chat completion's chunks as they come; it has come to an end only if this returns. */
export async function* streamChat(body: object, signal: AbortSignal): AsyncGenerator<Chunk> {
  const response = await send("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (!response.body) throw broken();
  const texts: string[] = [];
  const parser = createParser({ onEvent: (event) => texts.push(event.data) });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let isComplete = false;
  try {
    for (;;) {
      const { done, value } = await read(reader, signal);
      if (done) throw broken();
      parser.feed(decoder.decode(value, { stream: true }));
      for (const text of texts.splice(0)) {
        if (text === "[DONE]") {
          isComplete = true;
          return;
        }
        yield chunkOf(text);
      }
    }
  } finally {
    (isComplete ? drain(reader) : reader.cancel()).catch(() => undefined);
  }
}

/** Read to the end, so that the connection can be used again. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>, signal: AbortSignal) {
  try {
    return await reader.read();
  } catch (error) {
    if (signal.aborted) throw error;
    throw broken();
  }
}

function chunkOf(text: string): Chunk {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw broken();
  }
  if (typeof body !== "object" || body === null) throw broken();
  const failure = failureOf(body, 0);
  if (failure) throw new RequestFailure(failure);
  const chunk = body as Partial<Chunk>;
  return { ...chunk, choices: Array.isArray(chunk.choices) ? chunk.choices : [] };
}

async function send(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey.value) headers.set("Authorization", `Bearer ${apiKey.value}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new RequestFailure({ kind: "network", status: 0, code: "", message });
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const failure = failureOf(body, response.status) ?? {
    kind: "http",
    status: response.status,
    code: "",
    message: response.statusText,
  };
  const wait = Number(response.headers.get("Retry-After"));
  if (wait > 0) failure.retryAt = Date.now() + wait * 1000;
  throw new RequestFailure(failure);
}

function failureOf(body: unknown, status: number): Failure | null {
  const { error, progress } = (body ?? {}) as {
    error?: { message?: unknown; code?: unknown };
    progress?: Start;
  };
  if (!error) return null;
  return {
    ...(progress && error.code === "server_starting" ? { start: progress } : {}),
    kind: "http",
    status,
    code: typeof error.code === "string" ? error.code : "",
    message: typeof error.message === "string" ? error.message : "",
  };
}

function broken(): RequestFailure {
  return new RequestFailure({ kind: "broken", status: 0, code: "", message: "" });
}
