/** What the user chose for the page itself. */

import { computed, effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export type Language = "system" | "en" | "zh";

const PREFIX = "glm3edge.";

/** Kept for good, or until the tab is closed; browsers may refuse either. */
export function stored(name: string, storage: () => Storage = () => localStorage): string | null {
  try {
    return storage().getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function store(name: string, value: string, storage: () => Storage = () => localStorage): void {
  try {
    if (value) storage().setItem(PREFIX + name, value);
    else storage().removeItem(PREFIX + name);
  } catch {
    // Then it holds until the page is closed.
  }
}

const session = (): Storage => sessionStorage;

function oneOf<T extends string>(value: string | null, choices: readonly T[], otherwise: T): T {
  return choices.find((choice) => choice === value) ?? otherwise;
}

export const theme = signal(oneOf<Theme>(stored("theme"), ["light", "dark"], "system"));
export const language = signal(oneOf<Language>(stored("language"), ["en", "zh"], "system"));

export const apiKey = signal(stored("key") ?? stored("key", session) ?? "");
export const keepsKey = signal(stored("key") !== null);

/** Use ``key`` from now on; ``keep`` it after the tab is closed, too. */
export function setKey(key: string, keep: boolean): void {
  apiKey.value = key;
  keepsKey.value = keep;
  store("key", keep ? key : "");
  store("key", keep ? "" : key, session);
}

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(darkSystem.matches);
darkSystem.addEventListener("change", () => (systemIsDark.value = darkSystem.matches));

export const isDark = computed(() =>
  theme.value === "system" ? systemIsDark.value : theme.value === "dark",
);

const systemLanguages = signal(navigator.languages);
addEventListener("languagechange", () => (systemLanguages.value = navigator.languages));

export const shownLanguage = computed<"en" | "zh">(() => {
  if (language.value !== "system") return language.value;
  for (const tag of systemLanguages.value) {
    if (/^zh\b/i.test(tag)) return "zh";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
});

effect(() => {
  const root = document.documentElement;
  if (theme.value === "system") delete root.dataset.theme;
  else root.dataset.theme = theme.value;
  store("theme", theme.value === "system" ? "" : theme.value);
});

effect(() => {
  document.documentElement.lang = shownLanguage.value === "zh" ? "zh-CN" : "en";
  store("language", language.value === "system" ? "" : language.value);
});
