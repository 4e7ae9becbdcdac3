/** What was just done, shown for a while and read to whoever listens. */
import { signal } from "@preact/signals";

export const announcement = signal("");

/** Milliseconds: long enough to be read twice. */
const shown = 8_000;
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(text: string): void {
  announcement.value = text;
  clearTimeout(timer);
  timer = setTimeout(() => announcement.value = "", shown);
}
