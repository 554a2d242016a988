/** Above a conversation: its name, its model, and what can be done with it. */

import { Download, Menu, SlidersHorizontal } from "lucide";
import type { JSX } from "preact";
import { t } from "../i18n";
import { card, current, drawerIsOpen, models, panel, update } from "../state";
import { download } from "./files";
import { Icon, IconButton } from "./icon";

export function Header(): JSX.Element {
  const conversation = current.value;
  const title = conversation.title || t("conversation.untitled");
  return (
    <header class="header">
      <button
        type="button"
        id="menu"
        class="icon-button menu"
        aria-label={t("menu.open")}
        aria-expanded={drawerIsOpen.value}
        onClick={() => (drawerIsOpen.value = true)}
      >
        <MenuIcon />
      </button>
      <h1 dir="auto">{title}</h1>
      <ModelChoice />
      <IconButton
        of={Download}
        label={t("conversation.export")}
        disabled={!conversation.messages.length}
        onClick={() => download([conversation])}
      />
      <IconButton
        of={SlidersHorizontal}
        label={t("conversation.settings")}
        onClick={() => (panel.value = "chat")}
      />
    </header>
  );
}

function MenuIcon(): JSX.Element {
  return <Icon of={Menu} size={20} />;
}

function ModelChoice(): JSX.Element | null {
  const known = models.value;
  if (!known.length) return null;
  if (known.length === 1) {
    return (
      <span class="model" title={t("model")}>
        {known[0]!.id}
      </span>
    );
  }
  return (
    <select
      class="model"
      aria-label={t("model")}
      value={card.value?.id}
      onChange={(event) => {
        const model = event.currentTarget.value;
        update(current.value.id, () => ({ model }));
      }}
    >
      {known.map(({ id }) => (
        <option key={id} value={id}>
          {id}
        </option>
      ))}
    </select>
  );
}
