/** What went wrong with a reply, and what to do. */

import { CircleAlert } from "lucide";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { regenerate, shorten } from "../chat";
import { t, type Key } from "../i18n";
import { current, panel } from "../state";
import type { Failure } from "../types";
import { Icon } from "./icon";

type Name =
  | "network" | "broken" | "401" | "403" | "413" | "429" | "engine_lost" | "server_shutting_down" | "timeout"
  | "context_length_exceeded" | "server_starting" | "400" | "500";

const BY_CODE: readonly Name[] = [
  "engine_lost", "server_shutting_down", "server_starting", "timeout", "context_length_exceeded",
];
const BY_STATUS: readonly Name[] = ["401", "403", "413", "429"];

function nameOf({ kind, status, code }: Failure): Name {
  if (kind !== "http") return kind;
  const byCode = BY_CODE.find((name) => name === code);
  if (byCode) return byCode;
  if (code === "queue_full") return "429";
  const byStatus = BY_STATUS.find((name) => name === String(status));
  if (byStatus) return byStatus;
  return status >= 400 && status < 500 ? "400" : "500";
}

export function FailureView({ failure, isLast }: { failure: Failure; isLast: boolean }): JSX.Element {
  const name = nameOf(failure);
  const isShortened = name === "context_length_exceeded" && current.value.shorten;
  const advice: Key = isShortened ? "failure.context_length_exceeded.still" : `failure.${name}.advice`;
  return (
    <div class="failure" role="group" aria-label={t(`failure.${name}`)}>
      <Icon of={CircleAlert} size={20} />
      <div>
        <strong>{t(`failure.${name}`)}</strong>
        <p>{t(advice)}</p>
        {failure.message && failure.kind === "http" && (
          <p class="failure-detail">
            {t("failure.details")} <span lang="en">{failure.message}</span>
          </p>
        )}
        {isLast && (
          <div class="buttons">
            {name === "context_length_exceeded" && !isShortened && (
              <button type="button" class="button primary" onClick={shorten}>
                {t("failure.shorten")}
              </button>
            )}
            {(name === "context_length_exceeded" || name === "400") && (
              <button type="button" class="button" onClick={() => (panel.value = "chat")}>
                {t("failure.settings")}
              </button>
            )}
            {name === "401" && (
              <button type="button" class="button primary" onClick={() => (panel.value = "key")}>
                {t("failure.key")}
              </button>
            )}
            <Retry at={failure.retryAt} />
          </div>
        )}
      </div>
    </div>
  );
}

function Retry({ at }: { at: number | undefined }): JSX.Element {
  const [now, setNow] = useState(Date.now());
  const left = Math.ceil(((at ?? 0) - now) / 1000);
  useEffect(() => {
    if (left <= 0) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [left <= 0]);
  return (
    <button type="button" class="button" disabled={left > 0} onClick={regenerate}>
      {left > 0 ? t("failure.retryIn", { n: left }) : t("failure.retry")}
    </button>
  );
}
