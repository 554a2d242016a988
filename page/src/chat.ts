/** What can be done in a conversation: say, stop, say again, change, give a tool's result. */

import { streamChat, RequestFailure, type CallPiece, type Chunk } from "./api";
import { t } from "./i18n";
import { spoken } from "./markdown";
import {
  announcement, card, current, find, flush, newId, notice, panel, refreshModels, models, runs, update, type Run,
} from "./state";
import { parseTools } from "./tools";
import type { AssistantMessage, Conversation, Finish, Message, ToolCall } from "./types";

const TITLE_LENGTH = 48;
const FASTEST_MS = 33;
const SLOWEST_MS = 500;

/** The calls of a conversation that wait for results. */
export function openCalls({ messages }: Conversation): ToolCall[] {
  const last = messages.at(-1);
  if (last?.role !== "assistant") return [];
  return last.calls.filter(({ result }) => result === undefined);
}

export function say(text: string): void {
  const { id } = current.value;
  const content = text.trim();
  if (!content || runs.value[id]) return;
  update(id, ({ title, messages }) => ({
    title: title || titleOf(content),
    messages: [...messages, { id: newId(), role: "user", content }],
  }));
  void reply(id);
}

function titleOf(text: string): string {
  const line = text.split("\n", 1)[0]!.trim();
  const characters = [...line];
  return characters.length > TITLE_LENGTH ? `${characters.slice(0, TITLE_LENGTH).join("")}…` : line;
}

export function stop(): void {
  runs.value[current.value.id]?.controller.abort();
}

/** Write the last reply once more, or for the first time where there is none. */
export function regenerate(): void {
  const { id, messages } = current.value;
  if (runs.value[id]) return;
  if (messages.at(-1)?.role === "assistant") cut(id, messages.length - 1, t("undo.regenerate"));
  void reply(id);
}

/** Put ``text`` in the place of a message of the user's, and reply to that. */
export function resend(messageId: string, text: string): void {
  const { id, messages } = current.value;
  const index = messages.findIndex((message) => message.id === messageId);
  const content = text.trim();
  if (index < 0 || !content || runs.value[id]) return;
  cut(id, index, t("undo.edit"));
  update(id, (it) => ({ messages: [...it.messages, { id: newId(), role: "user", content }] }));
  void reply(id);
}

/** Give the results of the calls that the last reply made, by their ids. */
export function answer(results: ReadonlyMap<string, string>): void {
  const { id } = current.value;
  if (runs.value[id]) return;
  update(id, ({ messages }) => ({
    messages: messages.map((message, index) =>
      index === messages.length - 1 && message.role === "assistant"
        ? { ...message, calls: message.calls.map((call) => ({ ...call, result: results.get(call.id) ?? "" })) }
        : message,
    ),
  }));
  void reply(id);
}

/** Let the server leave out the oldest exchanges, from now on. */
export function shorten(): void {
  update(current.value.id, () => ({ shorten: true }));
  regenerate();
}

/** Keep the first ``count`` messages. What is lost can be had back for a while. */
function cut(id: string, count: number, text: string): void {
  const before = find(id)?.messages ?? [];
  const lost = before.slice(count);
  update(id, () => ({ messages: before.slice(0, count) }));
  if (!lost.some((it) => it.role === "assistant" && (it.content || it.calls.length))) return;
  const undo = (): void => {
    runs.value[id]?.controller.abort();
    update(id, () => ({ messages: before }));
    flush(id);
  };
  notice.value = { text, undo };
}

/** A request's messages. Replies that say nothing are left out, and calls that have no result. */
export function requestMessages({ system, messages }: Conversation): object[] {
  const found: object[] = system.trim() ? [{ role: "system", content: system }] : [];
  for (const message of messages) {
    if (message.role === "user") {
      found.push({ role: "user", content: message.content });
      continue;
    }
    const calls = message.calls.filter(({ result }) => result !== undefined);
    if (!message.content && !calls.length) continue;
    const tool_calls = calls.map(({ id, name, arguments: text }) => ({
      id,
      type: "function",
      function: { name, arguments: text },
    }));
    found.push({ role: "assistant", content: message.content, ...(calls.length ? { tool_calls } : {}) });
    for (const { id, result } of calls) found.push({ role: "tool", tool_call_id: id, content: result });
  }
  return found;
}

function requestBody(conversation: Conversation): object {
  const tools = parseTools(conversation.tools);
  return {
    model: models.value.find(({ id }) => id === conversation.model)?.id ?? models.value[0]?.id ?? "",
    messages: requestMessages(conversation),
    ...conversation.sampling,
    ...(Array.isArray(tools) && tools.length ? { tools } : {}),
    ...(conversation.shorten ? { truncation: "auto" } : {}),
    stream: true,
    stream_options: { include_usage: true, include_progress: true },
  };
}

async function reply(id: string): Promise<void> {
  const conversation = find(id);
  if (!conversation || runs.value[id]) return;
  const message: AssistantMessage = { id: newId(), role: "assistant", content: "", calls: [] };
  const model = card.value?.id;
  if (model) message.model = model;
  const run: Run = {
    controller: new AbortController(),
    messageId: message.id,
    started: performance.now(),
    progress: null,
    isWriting: false,
  };
  runs.value = { ...runs.value, [id]: run };
  update(id, (it) => ({ messages: [...it.messages, message], updated: Date.now() }));
  flush(id); // what was said is kept even if the page is closed now
  announcement.value = t("status.writing");
  const writer = new Writer(id, message, run);
  let outcome: Partial<AssistantMessage> = {};
  try {
    for await (const chunk of streamChat(requestBody(conversation), run.controller.signal)) {
      writer.take(chunk);
    }
  } catch (error) {
    if (run.controller.signal.aborted) outcome = { finish: "stopped" };
    else if (error instanceof RequestFailure) outcome = { failure: error.failure };
    else throw error;
  } finally {
    const { [id]: _done, ...others } = runs.value;
    runs.value = others;
    writer.finish(outcome);
    flush(id);
  }
  tell(outcome, writer.text);
  if (outcome.failure?.status === 401) panel.value = "key";
  if (!models.value.length) void refreshModels();
}

function tell({ failure, finish }: Partial<AssistantMessage>, text: string): void {
  if (failure) announcement.value = t("status.failed");
  else announcement.value = finish === "stopped" ? t("status.stopped") : spoken(text) || t("status.done");
}

/** Puts what comes into the message, not more often than the screen is drawn. */
class Writer {
  private calls: ToolCall[] = [];
  private fields: Partial<AssistantMessage> = {};
  private firstAt = 0;
  private lastAt = 0;
  private frame = 0;
  text = "";

  constructor(
    private readonly id: string,
    private readonly message: AssistantMessage,
    private readonly run: Run,
  ) {}

  take(chunk: Chunk): void {
    if (chunk.prompt_progress) this.setRun({ progress: chunk.prompt_progress });
    if (chunk.truncation) this.fields.droppedMessages = chunk.truncation.dropped_messages;
    const [choice] = chunk.choices;
    const { content, tool_calls } = choice?.delta ?? {};
    if (content || tool_calls) this.begin();
    this.text += content ?? "";
    for (const piece of tool_calls ?? []) this.takeCall(piece);
    if (choice?.finish_reason) this.fields.finish = choice.finish_reason as Finish;
    if (chunk.usage) {
      const { prompt_tokens, completion_tokens, prompt_tokens_details } = chunk.usage;
      const now = performance.now();
      this.fields.stats = {
        promptTokens: prompt_tokens,
        cachedTokens: prompt_tokens_details?.cached_tokens ?? 0,
        completionTokens: completion_tokens,
        firstSeconds: ((this.firstAt || now) - this.run.started) / 1000,
        writingSeconds: Math.max(0, this.lastAt - this.firstAt) / 1000,
      };
    }
    // A long text takes longer to show, all of it anew where it is one block of code.
    const wait = document.hidden ? SLOWEST_MS : Math.min(SLOWEST_MS, FASTEST_MS + this.text.length / 500);
    if (!this.frame) this.frame = setTimeout(() => this.show(), wait);
  }

  /** Show all of it, and how it ended. */
  finish(outcome: Partial<AssistantMessage>): void {
    clearTimeout(this.frame);
    Object.assign(this.fields, outcome);
    this.show();
  }

  private begin(): void {
    this.lastAt = performance.now();
    if (this.firstAt) return;
    this.firstAt = this.lastAt;
    this.setRun({ isWriting: true });
  }

  private takeCall({ index, id, function: piece }: CallPiece): void {
    const call = (this.calls[index] ??= { id: id ?? newId(), name: "", arguments: "" });
    call.name += piece?.name ?? "";
    call.arguments += piece?.arguments ?? "";
  }

  private show(): void {
    this.frame = 0;
    const shown = { ...this.fields, content: this.text, calls: this.calls.map((call) => ({ ...call })) };
    const put = (it: Message): Message => (it.id === this.message.id ? { ...this.message, ...shown } : it);
    update(this.id, ({ messages }) => ({ messages: messages.map(put) }));
  }

  private setRun(change: Partial<Run>): void {
    const run = runs.value[this.id];
    if (run?.messageId === this.message.id) runs.value = { ...runs.value, [this.id]: { ...run, ...change } };
  }
}
