/** The list of conversations; a drawer where the screen is narrow. */

import { Languages, Moon, Pencil, Search, Settings, SquarePen, Sun, Trash2, X } from "lucide";
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { isDark, language, shownLanguage, theme } from "../prefs";
import { add, conversations, currentId, drawerIsOpen, notice, open, openNew, panel, remove, runs, update } from "../state";
import type { Conversation } from "../types";
import { focusComposer } from "./composer";
import { Icon, IconButton } from "./icon";

const query = signal("");

export function focusSearch(): void {
  drawerIsOpen.value = true;
  requestAnimationFrame(() => document.getElementById("search")?.focus());
}

export const narrow = matchMedia("(max-width: 820px)");

export function Sidebar(): JSX.Element {
  const [isNarrow, setNarrow] = useState(narrow.matches);
  const close = useRef<HTMLDivElement>(null);
  const isOpen = drawerIsOpen.value;
  useEffect(() => {
    const listener = (): void => setNarrow(narrow.matches);
    narrow.addEventListener("change", listener);
    return () => narrow.removeEventListener("change", listener);
  }, []);
  useLayoutEffect(() => {
    if (isNarrow && isOpen) close.current?.querySelector("button")?.focus();
  }, [isNarrow, isOpen]);
  const shut = (): void => {
    drawerIsOpen.value = false;
    document.getElementById("menu")?.focus();
  };
  return (
    <>
      <nav class={`sidebar ${isOpen ? "open" : ""}`} aria-label={t("conversations")} inert={isNarrow && !isOpen}>
        <div class="sidebar-head" ref={close}>
          <a class="brand" href="/" onClick={(event) => openEvent(event)}>
            <Logo />
            glm3edge
          </a>
          {isNarrow && <IconButton of={X} label={t("menu.close")} onClick={shut} />}
        </div>
        <button type="button" class="new-chat" onClick={newChat}>
          <Icon of={SquarePen} />
          {t("conversation.new")}
        </button>
        <div class="search">
          <Icon of={Search} size={16} />
          <input
            id="search"
            type="search"
            autocomplete="off"
            aria-label={t("conversation.search")}
            placeholder={t("conversation.search")}
            value={query.value}
            onInput={(event) => (query.value = event.currentTarget.value)}
          />
        </div>
        <List />
        <div class="sidebar-foot">
          <button type="button" class="quiet" onClick={() => (panel.value = "preferences")}>
            <Icon of={Settings} />
            {t("preferences")}
          </button>
          <IconButton
            of={Languages}
            label={t("language.switch")}
            onClick={() => (language.value = shownLanguage.value === "zh" ? "en" : "zh")}
          />
          <IconButton
            of={isDark.value ? Sun : Moon}
            label={isDark.value ? t("theme.toLight") : t("theme.toDark")}
            onClick={() => (theme.value = isDark.value ? "light" : "dark")}
          />
        </div>
      </nav>
      {isOpen && isNarrow && <div class="scrim" onClick={shut} />}
    </>
  );
}

function openEvent(event: MouseEvent): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  newChat();
}

function newChat(): void {
  openNew();
  focusComposer();
}

function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect width="32" height="32" rx="9" fill="var(--brand)" />
      <path d="M9 11.5a3 3 0 0 1 3-3h8a3 3 0 0 1 3 3v5.5a3 3 0 0 1-3 3h-4.4l-4.2 3.4a.7.7 0 0 1-1.15-.55V20A3 3 0 0 1 9 17z" fill="#fff" />
      <circle cx="13" cy="14.3" r="1.35" fill="var(--brand)" />
      <circle cx="19" cy="14.3" r="1.35" fill="var(--brand)" />
    </svg>
  );
}

function List(): JSX.Element {
  const words = query.value.trim().toLocaleLowerCase();
  const found = conversations.value
    .filter((it) => !words || textOf(it).includes(words))
    .sort((a, b) => b.updated - a.updated);
  if (!found.length) {
    return <p class="list empty">{words ? t("conversation.noneFound") : t("conversation.none")}</p>;
  }
  return (
    <ul class="list">
      {found.map((it) => (
        <Item key={it.id} conversation={it} isCurrent={it.id === currentId.value} />
      ))}
    </ul>
  );
}

function textOf({ title, messages }: Conversation): string {
  return [title, ...messages.map(({ content }) => content)].join("\n").toLocaleLowerCase();
}

function Item({ conversation, isCurrent }: { conversation: Conversation; isCurrent: boolean }): JSX.Element {
  const [isRenamed, setRenamed] = useState(false);
  const { id, title } = conversation;
  const shown = title || t("conversation.untitled");
  if (isRenamed) return <Rename conversation={conversation} onEnd={() => setRenamed(false)} />;
  const drop = (): void => {
    remove(id);
    notice.value = { text: t("conversation.deleted"), undo: () => add([conversation]) };
  };
  return (
    <li class={isCurrent ? "item current" : "item"}>
      <a
        href={`#${id}`}
        aria-current={isCurrent ? "page" : undefined}
        onClick={(event) => {
          event.preventDefault();
          open(id);
        }}
      >
        {runs.value[id] && <span class="busy" aria-hidden="true" />}
        <span dir="auto">{shown}</span>
      </a>
      <span class="item-actions">
        <IconButton
          of={Pencil}
          size={15}
          label={t("conversation.rename", { title: shown })}
          onClick={() => setRenamed(true)}
        />
        <IconButton of={Trash2} size={15} label={t("conversation.delete", { title: shown })} onClick={drop} />
      </span>
    </li>
  );
}

function Rename({ conversation, onEnd }: { conversation: Conversation; onEnd: () => void }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => input.current?.select(), []);
  const keep = (): void => {
    const title = input.current?.value.trim();
    if (title) update(conversation.id, () => ({ title }));
    onEnd();
  };
  return (
    <li class="item">
      <input
        ref={input}
        class="field"
        aria-label={t("conversation.renameLabel")}
        defaultValue={conversation.title}
        maxLength={200}
        onBlur={keep}
        onKeyDown={(event) => {
          if (event.isComposing || event.keyCode === 229) return;
          if (event.key === "Enter") keep();
          if (event.key === "Escape") {
            event.stopPropagation();
            event.currentTarget.value = "";
            onEnd();
          }
        }}
      />
    </li>
  );
}
