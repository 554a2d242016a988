/** The conversation that is shown. */

import { ArrowDown, MessageCircle } from "lucide";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { say } from "../chat";
import { t } from "../i18n";
import { card, current, currentRun } from "../state";
import { Icon } from "./icon";
import { MessageView } from "./message-view";
import { edited } from "./editing";

const NEAR_END_PX = 80;

export function Messages(): JSX.Element {
  const { id, messages } = current.value;
  const run = currentRun.value;
  const scroller = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [isAway, setAway] = useState(false);

  const toEnd = (): void => {
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  const follow = (): void => {
    if (follows.current && edited.value === null) toEnd();
  };
  useEffect(() => {
    follows.current = true;
    edited.value = null;
    toEnd();
  }, [id]);
  useEffect(() => {
    if (!run) return;
    follows.current = true; // what was just asked for is looked at
    toEnd();
  }, [run?.messageId]);
  useLayoutEffect(follow);
  useEffect(() => {
    // Formulas and code grow after they are put in, and what is below takes room.
    const element = scroller.current;
    if (!element?.firstElementChild) return undefined;
    const observer = new ResizeObserver(follow);
    observer.observe(element);
    observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, [messages.length === 0]);

  const onScroll = (): void => {
    const { scrollHeight, scrollTop, clientHeight } = scroller.current!;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    setAway(!follows.current);
  };

  if (!messages.length) return <Welcome />;
  return (
    <div class="messages-frame">
      <div class="messages" ref={scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label={t("conversation.messages")}>
        <div class="column">
          {messages.map((message, index) => (
            <MessageView
              key={message.id}
              message={message}
              isLast={index === messages.length - 1}
              run={run?.messageId === message.id ? run : null}
              isFree={run === null}
              isEdited={edited.value === message.id}
              onEdit={setEdited}
            />
          ))}
        </div>
      </div>
      {isAway && (
        <button type="button" class="jump" aria-label={t("message.jump")} title={t("message.jump")} onClick={toEnd}>
          <Icon of={ArrowDown} />
        </button>
      )}
    </div>
  );
}

function setEdited(id: string | null): void {
  edited.value = id;
}

/** The demo model knows little: it is asked what it knows. */
function suggestions(): string[] {
  if (card.value?.id === "glm3-tiny") return [t("welcome.demo1"), t("welcome.demo2"), t("welcome.demo3")];
  return [t("welcome.try1"), t("welcome.try2"), t("welcome.try3")];
}

function Welcome(): JSX.Element {
  return (
    <div class="welcome">
      <div class="mark" aria-hidden="true">
        <Icon of={MessageCircle} size={26} />
      </div>
      <h2>{t("welcome.title")}</h2>
      <p>{t("welcome.text", { model: card.value?.id ?? "glm3edge" })}</p>
      <ul>
        {suggestions().map((text) => (
          <li key={text}>
            <button type="button" onClick={() => say(text)}>
              {text}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
