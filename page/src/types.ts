/** What is kept of a conversation, and what the server sends. */

/** Sampling; what is absent is left to the server. */
export interface Sampling {
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  repetition_penalty?: number;
  seed?: number;
}

export interface ToolCall {
  id: string;
  name: string;
  /** JSON text, as the model wrote it. */
  arguments: string;
  /** What the user typed as the tool's result; absent until it is sent. */
  result?: string;
}

/** Tokens and seconds of a reply. */
export interface Stats {
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  /** From the request to the first token. */
  firstSeconds: number;
  /** From the first token to the last. */
  writingSeconds: number;
}

export type FailureKind = "network" | "broken" | "http";

/** Why there is no reply, or only a part of one. */
export interface Failure {
  kind: FailureKind;
  status: number;
  code: string;
  /** The server's own words. */
  message: string;
  /** Time in ms since 1970 after which it is worth trying again. */
  retryAt?: number;
  /** What the server does before it can chat. */
  start?: Start;
}

/** How far the server is in a phase of its start; null is not known. */
export interface Start {
  phase: "pulling" | "converting" | "loading";
  bytes_done: number | null;
  bytes_total: number | null;
  seconds_left: number | null;
}

export type Finish = "stop" | "length" | "tool_calls" | "stopped";

export interface UserMessage {
  id: string;
  role: "user";
  content: string;
}

export interface AssistantMessage {
  id: string;
  role: "assistant";
  content: string;
  calls: ToolCall[];
  model?: string;
  finish?: Finish;
  stats?: Stats;
  failure?: Failure;
  /** Messages that the server left out so that the conversation fits. */
  droppedMessages?: number;
}

export type Message = UserMessage | AssistantMessage;

export interface Conversation {
  id: string;
  title: string;
  /** Times in ms since 1970. */
  created: number;
  updated: number;
  /** Empty: the first that the server has. */
  model: string;
  system: string;
  sampling: Sampling;
  /** JSON text of the request's `tools`; may be unfinished. */
  tools: string;
  /** Whether the server may leave out the oldest exchanges. */
  shorten: boolean;
  messages: Message[];
}

/** How far a prompt has been read. `processed` counts from `cached` to `total`. */
export interface Progress {
  total: number;
  cached: number;
  processed: number;
  /** Since processing began. */
  seconds: number;
}

export interface ModelCard {
  id: string;
  parent?: string;
  context_length: number;
}
