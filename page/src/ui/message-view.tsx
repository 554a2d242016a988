/** One message of a conversation. */

import { Check, Copy, Pencil, RefreshCw } from "lucide";
import { Component, type JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { regenerate, resend } from "../chat";
import { count, duration, t } from "../i18n";
import { models, type Run } from "../state";
import type { AssistantMessage, Message, Stats, UserMessage } from "../types";
import { CallsView } from "./calls-view";
import { copyText } from "./copy";
import { FailureView } from "./failure-view";
import { GrowingArea } from "./growing-area";
import { IconButton } from "./icon";
import { isSend } from "./keys";
import { MarkdownView } from "./markdown-view";

interface Props {
  message: Message;
  isLast: boolean;
  /** The reply that is on its way, if it is this. */
  run: Run | null;
  /** Whether the conversation can be changed now. */
  isFree: boolean;
  isEdited: boolean;
  onEdit: (id: string | null) => void;
}

/** Drawn again only if something of it changed: conversations can be long. */
export class MessageView extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return (Object.keys(next) as (keyof Props)[]).some((name) => next[name] !== this.props[name]);
  }

  override render({ message, ...rest }: Props): JSX.Element {
    return message.role === "user" ? (
      <UserView message={message} {...rest} />
    ) : (
      <AssistantView message={message} {...rest} />
    );
  }
}

type ViewOf<M> = Omit<Props, "message"> & { message: M };

function UserView({ message, isFree, isEdited, onEdit }: ViewOf<UserMessage>): JSX.Element {
  return (
    <article class="message user" aria-label={t("message.you")}>
      {isEdited ? (
        <Editor message={message} onEnd={() => onEdit(null)} />
      ) : (
        <>
          <div class="bubble" dir="auto">
            {message.content}
          </div>
          <div class="actions">
            <CopyButton text={message.content} />
            <IconButton
              of={Pencil}
              size={16}
              label={t("message.edit")}
              disabled={!isFree}
              onClick={() => onEdit(message.id)}
            />
          </div>
        </>
      )}
    </article>
  );
}

function Editor({ message, onEnd }: { message: UserMessage; onEnd: () => void }): JSX.Element {
  const [text, setText] = useState(message.content);
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  const send = (): void => {
    if (!text.trim()) return;
    onEnd();
    resend(message.id, text);
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <GrowingArea
        areaRef={area}
        class="field"
        aria-label={t("message.editLabel")}
        rows={1}
        value={text}
        onText={setText}
        onKeyDown={(event) => {
          if (isSend(event)) {
            event.preventDefault();
            send();
          } else if (event.key === "Escape" && !event.isComposing) {
            event.stopPropagation();
            onEnd();
          }
        }}
      />
      <div class="buttons">
        <button type="button" class="button" onClick={onEnd}>
          {t("message.cancel")}
        </button>
        <button type="submit" class="button primary" disabled={!text.trim()}>
          {t("message.send")}
        </button>
      </div>
    </form>
  );
}

function AssistantView({ message, isLast, run, isFree }: ViewOf<AssistantMessage>): JSX.Element {
  const { content, calls, stats, failure, finish, droppedMessages } = message;
  return (
    <article class="message assistant" aria-label={message.model || "glm3edge"} aria-busy={run !== null}>
      {droppedMessages ? <p class="aside">{t("message.dropped", { n: droppedMessages })}</p> : null}
      {content && <MarkdownView text={content} />}
      {calls.length > 0 && <CallsView calls={calls} isOpen={isLast && isFree} />}
      {run && <Waiting run={run} />}
      {failure && <FailureView failure={failure} isLast={isLast && isFree} />}
      {finish === "length" && <p class="aside">{t("message.length")}</p>}
      {!run && (
        <div class="actions">
          {content && <CopyButton text={content} />}
          {isLast && !failure && (
            <IconButton
              of={RefreshCw}
              size={16}
              label={t("message.regenerate")}
              disabled={!isFree}
              onClick={regenerate}
            />
          )}
          {finish === "stopped" && <span class="stats">{t("message.stopped")}</span>}
          {stats && <StatsView stats={stats} model={models.value.length > 1 ? message.model : undefined} />}
        </div>
      )}
    </article>
  );
}

function StatsView({ stats, model }: { stats: Stats; model: string | undefined }): JSX.Element {
  const { promptTokens, cachedTokens, completionTokens, firstSeconds, writingSeconds } = stats;
  // Tokens after the first, in the time after the first; of what comes all at once, in all.
  const isTimed = writingSeconds > 0.05;
  const rate = isTimed ? (completionTokens - 1) / writingSeconds : completionTokens / firstSeconds;
  const details = { prompt: count(promptTokens), cached: count(cachedTokens), reply: count(completionTokens) };
  const parts = [...(model ? [model] : []), t("stats.tokens", { n: count(completionTokens) })];
  if (rate > 0) parts.push(t("stats.rate", { n: rate < 10 ? rate.toFixed(1) : count(rate) }));
  if (firstSeconds >= 0.1) parts.push(t("stats.first", { n: firstSeconds.toFixed(1) }));
  return (
    <span class="stats" title={t("stats.title", details)}>
      {parts.join(" · ")}
    </span>
  );
}

function CopyButton({ text }: { text: string }): JSX.Element {
  const [isDone, setDone] = useState(false);
  const copy = async (): Promise<void> => {
    if (!(await copyText(text))) return;
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return (
    <IconButton
      of={isDone ? Check : Copy}
      size={16}
      label={isDone ? t("message.copied") : t("message.copy")}
      onClick={() => void copy()}
    />
  );
}

/** Before the first token: how far the prompt has been read, if the server tells. */
function Waiting({ run }: { run: Run }): JSX.Element {
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((tick) => tick + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  if (run.isWriting) return <span class="cursor" aria-hidden="true" />;
  const waited = (performance.now() - run.started) / 1000;
  const { progress } = run;
  if (!progress || progress.processed >= progress.total) {
    return (
      <p class="waiting">
        <span class="dots" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        {waited >= 2 && (
          <span>
            {t("progress.waiting")} · {duration(waited)}
          </span>
        )}
      </p>
    );
  }
  const { total, cached, processed, seconds } = progress;
  const rate = seconds > 0 ? (processed - cached) / seconds : 0;
  const parts = [t("progress.count", { done: count(processed), total: count(total) })];
  if (rate > 0) parts.push(t("progress.left", { time: duration((total - processed) / rate) }));
  return (
    <div class="reading">
      <div>
        <span>{t("progress.reading")}</span>
        <span class="numbers">{parts.join(" · ")}</span>
      </div>
      <progress max={total} value={processed} aria-label={t("progress.reading")} />
    </div>
  );
}
