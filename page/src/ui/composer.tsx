/** Where the user writes, and what the context has room for. */

import { ArrowUp, Square } from "lucide";
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { openCalls, say, stop } from "../chat";
import { count, t } from "../i18n";
import { card, current, currentRun } from "../state";
import { parseTools } from "../tools";
import type { Conversation } from "../types";
import { edited } from "./editing";
import { GrowingArea } from "./growing-area";
import { Icon } from "./icon";
import { isSend } from "./keys";

/** Unsent text, by conversation. */
const drafts = signal<Record<string, string>>({});

export function focusComposer(): void {
  document.getElementById("message")?.focus();
}

export function Composer(): JSX.Element {
  const conversation = current.value;
  const isRunning = currentRun.value !== null;
  const awaits = !isRunning && openCalls(conversation).length > 0;
  const text = drafts.value[conversation.id] ?? "";
  const setText = (value: string): void => {
    drafts.value = { ...drafts.value, [conversation.id]: value };
  };
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    // A touch keyboard would cover half of what was opened.
    if (matchMedia("(hover: hover)").matches) area.current?.focus();
  }, [conversation.id]);
  const send = (): void => {
    if (isRunning || !text.trim()) return;
    setText("");
    say(text);
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (isSend(event)) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && !text && !isRunning) {
      const last = conversation.messages.findLast(({ role }) => role === "user");
      if (last) {
        event.preventDefault();
        edited.value = last.id;
      }
    }
  };
  const model = card.value?.id ?? "glm3edge";
  return (
    <div class="composer">
      <div class="column">
        {awaits && <p class="composer-note">{t("composer.awaits")}</p>}
        {!Array.isArray(parseTools(conversation.tools)) && (
          <p class="composer-note warning">{t("tools.notSent")}</p>
        )}
        <form
          class="composer-box"
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <GrowingArea
            areaRef={area}
            id="message"
            aria-label={t("composer.label")}
            aria-describedby="composer-hint"
            placeholder={t("composer.placeholder", { model })}
            rows={1}
            enterkeyhint="send"
            value={text}
            onText={setText}
            onKeyDown={onKeyDown}
          />
          {isRunning ? (
            <button type="button" class="send stop" aria-label={t("composer.stop")} title={`${t("composer.stop")} (Esc)`} onClick={stop}>
              <Icon of={Square} size={16} />
            </button>
          ) : (
            <button type="submit" class="send" aria-label={t("composer.send")} title={t("composer.send")} disabled={!text.trim()}>
              <Icon of={ArrowUp} size={20} />
            </button>
          )}
        </form>
        <div class="composer-foot">
          <span id="composer-hint" class="hint">
            {t("composer.hint")}
          </span>
          <ContextView conversation={conversation} />
        </div>
      </div>
    </div>
  );
}

function ContextView({ conversation }: { conversation: Conversation }): JSX.Element | null {
  const total = card.value?.context_length;
  if (!total) return null;
  const used = usedTokens(conversation);
  if (!used) return <span class="context">{t("context.size", { total: count(total) })}</span>;
  const share = used / total;
  return (
    <span class={`context ${share > 0.9 ? "full" : ""}`}>
      <meter min={0} max={total} low={total * 0.75} high={total * 0.9} optimum={0} value={Math.min(used, total)} aria-label={t("context")} />
      {t("context.used", { used: count(used), total: count(total) })}
    </span>
  );
}

/** Tokens of the prompt and the reply, when the server last told. */
function usedTokens({ messages }: Conversation): number {
  for (const message of [...messages].reverse()) {
    if (message.role === "assistant" && message.stats) {
      return message.stats.promptTokens + message.stats.completionTokens;
    }
  }
  return 0;
}
