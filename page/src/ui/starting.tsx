/** What the server does until it has a model. */

import type { JSX } from "preact";
import { bytes, duration, t } from "../i18n";
import type { Start } from "../types";

export function Starting({ start }: { start: Start }): JSX.Element {
  const { phase, bytes_done: done, bytes_total: total, seconds_left: left } = start;
  const parts: string[] = [];
  if (total) parts.push(done === null ? bytes(total) : t("start.count", { done: bytes(done), total: bytes(total) }));
  if (left !== null) parts.push(t("progress.left", { time: duration(left) }));
  const title = t(`start.${phase}`);
  return (
    <div class="welcome">
      <div role="status">
        <h2>{title}</h2>
      </div>
      <div class="reading">
        <div class="numbers">{parts.join(" · ")}</div>
        <progress aria-label={title} {...(done !== null && total ? { max: total, value: done } : {})} />
      </div>
      <p>{t("start.text")}</p>
    </div>
  );
}
