/** What holds for the page: language, appearance, key, data. */

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { t } from "../i18n";
import { apiKey, keepsKey, language, setKey, theme, type Language, type Theme } from "../prefs";
import { conversations, keepsNothing, modelsFailure, panel, refreshModels, removeAll } from "../state";
import { Dialog } from "./dialog";
import { chooseImport, download } from "./files";

const close = (): void => void (panel.value = null);

export function Preferences(): JSX.Element {
  return (
    <Dialog
      title={t("preferences")}
      onClose={close}
      footer={
        <>
          <span class="links">
            <a href="/docs" target="_blank" rel="noopener">
              {t("prefs.docs")}
            </a>
            <a href="/chat/LICENSES.txt" target="_blank" rel="noopener">
              {t("prefs.licenses")}
            </a>
            <button type="button" class="link" onClick={() => (panel.value = "shortcuts")}>
              {t("shortcuts")}
            </button>
          </span>
          <button type="button" class="button primary" onClick={close}>
            {t("done")}
          </button>
        </>
      }
    >
      <Choice<Language>
        label={t("prefs.language")}
        value={language.value}
        choices={[["system", t("prefs.system")], ["en", "English"], ["zh", "中文"]]}
        onValue={(value) => (language.value = value)}
      />
      <Choice<Theme>
        label={t("prefs.theme")}
        value={theme.value}
        choices={[["system", t("prefs.system")], ["light", t("prefs.light")], ["dark", t("prefs.dark")]]}
        onValue={(value) => (theme.value = value)}
      />
      <fieldset>
        <legend>{t("prefs.key")}</legend>
        <KeyFields />
        <p class="hint">{t("prefs.keyHint")}</p>
      </fieldset>
      <Data />
    </Dialog>
  );
}

interface ChoiceProps<T> {
  label: string;
  value: T;
  choices: [T, string][];
  onValue: (value: T) => void;
}

function Choice<T extends string>({ label, value, choices, onValue }: ChoiceProps<T>): JSX.Element {
  const name = useId();
  return (
    <fieldset>
      <legend>{label}</legend>
      <div class="segments">
        {choices.map(([choice, text]) => (
          <label key={choice}>
            <input type="radio" name={name} checked={choice === value} onChange={() => onValue(choice)} />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function KeyFields(): JSX.Element {
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <input
        class="field"
        type="password"
        autocomplete="off"
        aria-label={t("key.label")}
        value={apiKey.value}
        onChange={(event) => {
          setKey(event.currentTarget.value.trim(), keepsKey.value);
          void refreshModels();
        }}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={keepsKey.value}
          onChange={(event) => setKey(apiKey.value, event.currentTarget.checked)}
        />
        {t("key.keep")}
      </label>
    </form>
  );
}

function Data(): JSX.Element {
  const [isSure, setSure] = useState(false);
  const isEmpty = !conversations.value.length;
  const drop = (): void => {
    if (isSure) removeAll();
    setSure(!isSure);
  };
  return (
    <fieldset>
      <legend>{t("prefs.data")}</legend>
      <div class="buttons">
        <button type="button" class="button" disabled={isEmpty} onClick={() => download(conversations.value)}>
          {t("prefs.exportAll")}
        </button>
        <button type="button" class="button" onClick={chooseImport}>
          {t("prefs.import")}
        </button>
        <button type="button" class="button danger" disabled={isEmpty} onClick={drop} onBlur={() => setSure(false)}>
          {isSure ? t("prefs.deleteAllSure") : t("prefs.deleteAll")}
        </button>
      </div>
      <p class="hint">{keepsNothing.value ? t("prefs.keepsNothing") : t("prefs.dataHint")}</p>
    </fieldset>
  );
}

/** Asks for the key of a server that wants one. */
export function KeyDialog(): JSX.Element {
  const [key, setText] = useState("");
  const [keep, setKeep] = useState(keepsKey.value);
  const [isWrong, setWrong] = useState(apiKey.value !== "");
  const id = useId();
  const use = async (): Promise<void> => {
    setKey(key.trim(), keep);
    panel.value = null;
    await refreshModels();
    setWrong(modelsFailure.value !== null);
  };
  return (
    <Dialog title={t("key.title")} onClose={close} class="small">
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim()) void use();
        }}
      >
        <p id={`${id}-text`}>{isWrong ? t("key.wrong") : t("key.text")}</p>
        <input
          class="field"
          type="password"
          autocomplete="current-password"
          aria-label={t("key.label")}
          aria-describedby={`${id}-text`}
          value={key}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <label class="check">
          <input type="checkbox" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
          {t("key.keep")}
        </label>
        <div class="buttons end">
          <button type="submit" class="button primary" disabled={!key.trim()}>
            {t("key.use")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
