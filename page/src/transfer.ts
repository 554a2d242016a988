/** Conversations as a file, and back. */

import type { AssistantMessage, Conversation, Message, Sampling, Stats, ToolCall } from "./types";

const FORMAT = "glm3edge-chat";
const VERSION = 1;

/** The file is none of ours, or damaged; `place` says where. */
export class ImportError extends Error {
  constructor(readonly place: string) {
    super(place);
  }
}

export function exported(conversations: Conversation[]): string {
  const exported = new Date().toISOString();
  return `${JSON.stringify({ format: FORMAT, version: VERSION, exported, conversations }, null, 2)}\n`;
}

/** The conversations of a file. Fields that are not known are left out. */
export function imported(text: string): Conversation[] {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new ImportError("JSON");
  }
  const { format, version, conversations } = object(file, "JSON");
  if (format !== FORMAT) throw new ImportError("format");
  if (version !== VERSION) throw new ImportError("version");
  return list(conversations, "conversations", conversation);
}

/** As a file has it, so that equal ones are equal texts. */
export const normal = (value: Conversation): string => JSON.stringify(conversation(value, ""));

function conversation(value: unknown, at: string): Conversation {
  const it = object(value, at);
  return {
    id: id(it.id, `${at}.id`),
    title: string(it.title, `${at}.title`),
    created: number(it.created, `${at}.created`),
    updated: number(it.updated, `${at}.updated`),
    model: string(it.model, `${at}.model`),
    system: string(it.system, `${at}.system`),
    sampling: sampling(it.sampling, `${at}.sampling`),
    tools: string(it.tools, `${at}.tools`),
    shorten: it.shorten === true,
    messages: list(it.messages, `${at}.messages`, message),
  };
}

function sampling(value: unknown, at: string): Sampling {
  const it = object(value, at);
  const found: Sampling = {};
  for (const name of ["temperature", "top_p", "max_tokens", "repetition_penalty", "seed"] as const) {
    if (it[name] !== undefined) found[name] = number(it[name], `${at}.${name}`);
  }
  return found;
}

function message(value: unknown, at: string): Message {
  const it = object(value, at);
  const id = string(it.id, `${at}.id`);
  const content = string(it.content, `${at}.content`);
  if (it.role === "user") return { id, role: "user", content };
  if (it.role !== "assistant") throw new ImportError(`${at}.role`);
  const reply: AssistantMessage = {
    id,
    role: "assistant",
    content,
    calls: list(it.calls, `${at}.calls`, call),
  };
  if (it.model !== undefined) reply.model = string(it.model, `${at}.model`);
  if (it.stats !== undefined) reply.stats = stats(it.stats, `${at}.stats`);
  if (it.droppedMessages !== undefined) {
    reply.droppedMessages = number(it.droppedMessages, `${at}.droppedMessages`);
  }
  const { finish } = it;
  if (finish === "stop" || finish === "length" || finish === "tool_calls" || finish === "stopped") {
    reply.finish = finish;
  }
  return reply;
}

function call(value: unknown, at: string): ToolCall {
  const it = object(value, at);
  const found: ToolCall = {
    id: string(it.id, `${at}.id`),
    name: string(it.name, `${at}.name`),
    arguments: string(it.arguments, `${at}.arguments`),
  };
  if (it.result !== undefined) found.result = string(it.result, `${at}.result`);
  return found;
}

function stats(value: unknown, at: string): Stats {
  const it = object(value, at);
  return {
    promptTokens: number(it.promptTokens, `${at}.promptTokens`),
    cachedTokens: number(it.cachedTokens, `${at}.cachedTokens`),
    completionTokens: number(it.completionTokens, `${at}.completionTokens`),
    firstSeconds: number(it.firstSeconds, `${at}.firstSeconds`),
    writingSeconds: number(it.writingSeconds, `${at}.writingSeconds`),
  };
}

/** As `newId` makes them: an id is also a name in objects. */
function id(value: unknown, at: string): string {
  const text = string(value, at);
  if (!/^[0-9a-z]{18}$/.test(text)) throw new ImportError(at);
  return text;
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new ImportError(at);
  return value as Record<string, unknown>;
}

function list<T>(value: unknown, at: string, item: (value: unknown, at: string) => T): T[] {
  if (!Array.isArray(value)) throw new ImportError(at);
  return value.map((entry, index) => item(entry, `${at}[${index}]`));
}

function string(value: unknown, at: string): string {
  if (typeof value !== "string") throw new ImportError(at);
  return value;
}

function number(value: unknown, at: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new ImportError(at);
  return value;
}
