/** A text field as high as its text. */

import type { JSX, Ref } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface Props extends Omit<JSX.IntrinsicElements["textarea"], "ref" | "value" | "onInput"> {
  value: string;
  onText: (text: string) => void;
  areaRef?: Ref<HTMLTextAreaElement>;
}

export function GrowingArea({ value, onText, areaRef, ...rest }: Props): JSX.Element {
  const own = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const area = own.current;
    if (!area?.scrollHeight) return; // not on the screen yet
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
  }, [value]);
  return (
    <textarea
      {...rest}
      dir="auto"
      ref={(area) => {
        own.current = area;
        if (typeof areaRef === "function") areaRef(area);
        else if (areaRef) areaRef.current = area;
      }}
      value={value}
      onInput={(event) => onText(event.currentTarget.value)}
    />
  );
}
