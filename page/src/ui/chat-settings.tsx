/** What holds for one conversation: system prompt, sampling, tools. */

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { t, type Key } from "../i18n";
import { current, keepDefaults, notice, panel, update } from "../state";
import { EXAMPLE, parseTools, type ToolsFault } from "../tools";
import type { Conversation, Sampling } from "../types";
import { Dialog } from "./dialog";
import { GrowingArea } from "./growing-area";

interface Option {
  name: keyof Sampling;
  min: number;
  max?: number;
  isWhole?: boolean;
}

// The ranges are the server's.
const OPTIONS: Option[] = [
  { name: "temperature", min: 0, max: 2 },
  { name: "top_p", min: 0, max: 1 },
  { name: "max_tokens", min: 1, isWhole: true },
  { name: "repetition_penalty", min: 0.01, max: 2 },
  { name: "seed", min: 0, isWhole: true },
];

export function ChatSettings(): JSX.Element {
  const conversation = current.value;
  const change = (fields: Partial<Conversation>): void => update(conversation.id, () => fields);
  const system = useId();
  const close = (): void => void (panel.value = null);
  return (
    <Dialog
      title={t("conversation.settings")}
      onClose={close}
      footer={
        <>
          <button
            type="button"
            class="button"
            onClick={() => {
              keepDefaults(conversation);
              notice.value = { text: t("settings.kept") };
            }}
          >
            {t("settings.keepDefaults")}
          </button>
          <button type="button" class="button primary" onClick={close}>
            {t("done")}
          </button>
        </>
      }
    >
      <p class="hint">{t("settings.scope")}</p>
      <div class="row">
        <label for={system}>{t("settings.system")}</label>
        <GrowingArea
          id={system}
          class="field"
          rows={3}
          placeholder={t("settings.systemPlaceholder")}
          value={conversation.system}
          onText={(text) => change({ system: text })}
        />
      </div>
      <fieldset>
        <legend>{t("settings.sampling")}</legend>
        <div class="grid">
          {OPTIONS.map((option) => (
            <NumberField
              key={option.name}
              option={option}
              value={conversation.sampling[option.name]}
              onValue={(value) => {
                const { [option.name]: _old, ...others } = current.value.sampling;
                change({ sampling: value === undefined ? others : { ...others, [option.name]: value } });
              }}
            />
          ))}
        </div>
        <label class="check">
          <input
            type="checkbox"
            checked={conversation.shorten}
            onChange={(event) => change({ shorten: event.currentTarget.checked })}
          />
          {t("settings.shorten")}
        </label>
      </fieldset>
      <ToolsField text={conversation.tools} onText={(tools) => change({ tools })} />
    </Dialog>
  );
}

interface NumberFieldProps {
  option: Option;
  value: number | undefined;
  onValue: (value: number | undefined) => void;
}

/** A number, or nothing. What is out of range is said, and not kept. */
function NumberField({ option, value, onValue }: NumberFieldProps): JSX.Element {
  const { name, min, max = Number.MAX_SAFE_INTEGER, isWhole = false } = option;
  const id = useId();
  const [text, setText] = useState(value === undefined ? "" : String(value));
  const number = Number(text);
  const isRight = !text.trim() || (number >= min && number <= max && (!isWhole || Number.isSafeInteger(number)));
  const take = (typed: string): void => {
    setText(typed);
    const given = Number(typed);
    if (!typed.trim()) onValue(undefined);
    else if (given >= min && given <= max && (!isWhole || Number.isSafeInteger(given))) onValue(given);
  };
  return (
    <div class="row">
      <label for={id}>{t(`settings.${name}` as Key)}</label>
      <input
        id={id}
        class="field"
        inputMode={isWhole ? "numeric" : "decimal"}
        autocomplete="off"
        placeholder={t("settings.default")}
        aria-describedby={`${id}-hint`}
        aria-invalid={!isRight}
        value={text}
        onInput={(event) => take(event.currentTarget.value)}
      />
      <span id={`${id}-hint`} class={isRight ? "hint" : "hint fault"}>
        {isRight
          ? t(`settings.${name}Hint` as Key)
          : isWhole
            ? t("settings.whole", { min })
            : t("settings.range", { min, max })}
      </span>
    </div>
  );
}

function ToolsField({ text, onText }: { text: string; onText: (text: string) => void }): JSX.Element {
  const id = useId();
  const tools = parseTools(text);
  const isRight = Array.isArray(tools);
  return (
    <div class="row">
      <label for={id}>{t("settings.tools")}</label>
      <span id={`${id}-hint`} class="hint">
        {t("settings.toolsHint")}
      </span>
      <textarea
        id={id}
        class="field mono"
        rows={8}
        spellcheck={false}
        autocomplete="off"
        placeholder="[]"
        aria-describedby={`${id}-hint ${id}-state`}
        aria-invalid={!isRight}
        value={text}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <div class="under">
        <span id={`${id}-state`} class={isRight ? "hint" : "hint fault"} role="status">
          {isRight ? counted(tools.length) : faultText(tools)}
        </span>
        {text.trim() ? (
          <button type="button" class="link" onClick={() => onText("")}>
            {t("settings.toolsClear")}
          </button>
        ) : (
          <button type="button" class="link" onClick={() => onText(EXAMPLE)}>
            {t("settings.toolsExample")}
          </button>
        )}
      </div>
    </div>
  );
}

function counted(n: number): string {
  if (!n) return "";
  return n === 1 ? t("settings.toolsCountOne") : t("settings.toolsCount", { n });
}

function faultText(fault: ToolsFault): string {
  if (fault.kind === "json") return t("tools.json", { detail: fault.detail });
  if (fault.kind === "list") return t("tools.list");
  return t(`tools.${fault.kind}`, { n: fault.index + 1 });
}
