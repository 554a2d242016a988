/** The page. */

import { X } from "lucide";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { announcement, current, keepsNothing, modelsFailure, notice, panel, refreshModels } from "../state";
import { ChatSettings } from "./chat-settings";
import { Composer, focusComposer } from "./composer";
import { Header } from "./header";
import { IconButton } from "./icon";
import { Messages } from "./messages";
import { KeyDialog, Preferences } from "./preferences";
import { Shortcuts, useShortcuts } from "./shortcuts";
import { Sidebar } from "./sidebar";
import { Starting } from "./starting";
import type { Start } from "../types";

const NOTICE_MS = 8000;
const RETRY_MS = 1000;

export function App(): JSX.Element {
  useShortcuts();
  const start = useStart();
  const { title } = current.value;
  useEffect(() => {
    document.title = title ? `${title} · glm3edge` : "glm3edge";
  }, [title]);
  return (
    <div class="app">
      <a
        class="skip"
        href="#message"
        onClick={(event) => {
          event.preventDefault();
          focusComposer();
        }}
      >
        {t("skip")}
      </a>
      <Sidebar />
      <main class="main">
        <Header />
        {start ? (
          <Starting start={start} />
        ) : (
          <>
            <Banner />
            <Messages />
            <Composer />
          </>
        )}
      </main>
      {panel.value === "chat" && <ChatSettings />}
      {panel.value === "preferences" && <Preferences />}
      {panel.value === "key" && <KeyDialog />}
      {panel.value === "shortcuts" && <Shortcuts />}
      <Toast />
      <div class="offscreen" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </div>
  );
}

/** What the server does before it can chat. A server that starts, or is away, is asked again and again. */
function useStart(): Start | undefined {
  const failure = modelsFailure.value;
  const isWaiting = failure?.kind === "network" || failure?.start !== undefined;
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setInterval(() => void refreshModels(), RETRY_MS);
    return () => clearInterval(timer);
  }, [isWaiting]);
  return failure?.start;
}

/** What is wrong before anything was asked. */
function Banner(): JSX.Element | null {
  const failure = modelsFailure.value;
  if (failure?.kind === "network") {
    return (
      <p class="banner" role="status">
        <strong>{t("failure.network")}.</strong> {t("failure.network.advice")}
      </p>
    );
  }
  if (failure?.status === 403) {
    return (
      <p class="banner" role="status">
        <strong>{t("failure.403")}.</strong> {t("failure.403.advice")}
      </p>
    );
  }
  if (failure?.status === 401) {
    return (
      <p class="banner" role="status">
        <strong>{t("failure.401")}.</strong>{" "}
        <button type="button" class="link" onClick={() => (panel.value = "key")}>
          {t("failure.key")}
        </button>
      </p>
    );
  }
  return keepsNothing.value ? <p class="banner">{t("prefs.keepsNothing")}</p> : null;
}

function Toast(): JSX.Element {
  const shown = notice.value;
  useEffect(() => {
    if (!shown) return undefined;
    const timer = setTimeout(() => (notice.value = null), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown && (
        <div class="toast">
          <span>{shown.text}</span>
          {shown.undo && (
            <button
              type="button"
              class="link"
              onClick={() => {
                shown.undo?.();
                notice.value = null;
              }}
            >
              {t("undo")}
            </button>
          )}
          <IconButton of={X} size={16} label={t("close")} onClick={() => (notice.value = null)} />
        </div>
      )}
    </div>
  );
}
