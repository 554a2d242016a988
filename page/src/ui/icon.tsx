/** Icons: decoration only, the buttons around them have names. */

import type { IconNode } from "lucide";
import { createElement, type JSX } from "preact";

export function Icon({ of, size = 18 }: { of: IconNode; size?: number }): JSX.Element {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {of.map(([tag, attributes]) => createElement(tag, attributes as never))}
    </svg>
  );
}

interface IconButtonProps {
  of: IconNode;
  label: string;
  onClick: (event: MouseEvent) => void;
  class?: string;
  size?: number;
  disabled?: boolean;
  expanded?: boolean;
  hotkey?: string;
}

export function IconButton({ of, label, onClick, size, disabled, expanded, hotkey, ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${rest.class ?? ""}`}
      aria-label={label}
      title={hotkey ? `${label} (${hotkey})` : label}
      aria-expanded={expanded}
      aria-keyshortcuts={hotkey}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon of={of} size={size} />
    </button>
  );
}
