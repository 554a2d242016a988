/** Calls of tools, with a place for each result. */

import { Check, Wrench } from "lucide";
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { answer } from "../chat";
import { t } from "../i18n";
import type { ToolCall } from "../types";
import { GrowingArea } from "./growing-area";
import { Icon } from "./icon";
import { MarkdownView } from "./markdown-view";

const LINE_LENGTH = 72;

interface Props {
  calls: ToolCall[];
  /** Whether results can be given now. */
  isOpen: boolean;
}

export function CallsView({ calls, isOpen }: Props): JSX.Element {
  const [results, setResults] = useState<ReadonlyMap<string, string>>(new Map());
  const isComplete = calls.every(({ id }) => (results.get(id) ?? "").trim());
  const send = (event: Event): void => {
    event.preventDefault();
    if (isComplete) answer(results);
  };
  return (
    <form class="calls" onSubmit={send}>
      {calls.map((call) => (
        <CallView
          key={call.id}
          call={call}
          isOpen={isOpen && call.result === undefined}
          text={results.get(call.id) ?? ""}
          onText={(text) => setResults((all) => new Map(all).set(call.id, text))}
        />
      ))}
      {isOpen && (
        <div class="buttons">
          <button type="submit" class="button primary" disabled={!isComplete}>
            {t("call.send")}
          </button>
        </div>
      )}
    </form>
  );
}

interface CallProps {
  call: ToolCall;
  isOpen: boolean;
  text: string;
  onText: (text: string) => void;
}

function CallView({ call, isOpen, text, onText }: CallProps): JSX.Element {
  const id = useId();
  return (
    <section class="call" aria-label={`${t("call.title")}: ${call.name}`}>
      <header>
        <Icon of={call.result === undefined ? Wrench : Check} size={16} />
        <span>{t("call.title")}</span>
        <code>{call.name}</code>
      </header>
      <MarkdownView text={shownArguments(call)} />
      {isOpen && (
        <>
          <label for={id}>{t("call.resultFor", { name: call.name })}</label>
          <GrowingArea
            id={id}
            class="field mono"
            rows={2}
            placeholder={t("call.placeholder")}
            value={text}
            onText={onText}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
                event.currentTarget.form?.requestSubmit();
              }
            }}
          />
        </>
      )}
      {call.result !== undefined && (
        <>
          <div class="call-label">{t("call.result")}</div>
          <pre class="call-result" tabIndex={0} role="group" aria-label={t("call.resultFor", { name: call.name })}>
            {call.result}
          </pre>
        </>
      )}
    </section>
  );
}

function json(value: unknown): string {
  const lines = JSON.stringify(value, null, 2);
  const line = lines.replaceAll(/\n\s*/g, " "); // JSON's strings hold no line ends
  return line.length <= LINE_LENGTH ? line : lines;
}

/** The arguments as code in Markdown: JSON, or what the model wants to run. */
function shownArguments({ name, arguments: text }: ToolCall): string {
  let shown = text;
  let language = "json";
  try {
    const value = JSON.parse(text) as { code?: unknown };
    const isCode = name === "interpreter" && typeof value.code === "string";
    shown = isCode ? (value.code as string) : json(value);
    if (isCode) language = "python";
  } catch {
    // It is still being written.
  }
  const longest = Math.max(2, ...[...shown.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${shown}\n${fence}`;
}
