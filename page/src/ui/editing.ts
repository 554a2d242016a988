/** Which of the user's messages is being edited, by its id. */

import { signal } from "@preact/signals";

export const edited = signal<string | null>(null);
