/** Where the page is: a panel, and what is chosen in it. All of it stands in the address, so that it can be sent to others. */
import { signal } from "@preact/signals";

export interface Route {
  readonly panel: string;
  /** Filters and the like; what is not chosen is absent. */
  readonly chosen: Readonly<Record<string, string>>;
}

function read(): Route {
  const [panel = "", query] = location.hash.replace(/^#\/?/, "").split("?");
  return { panel, chosen: Object.fromEntries(new URLSearchParams(query)) };
}

export const route = signal<Route>(read());
addEventListener("hashchange", () => route.value = read());

/** The address of a panel: `href("jobs", { status: "failed" })`. */
export function href(panel: string, chosen: Readonly<Record<string, string | undefined>> = {}): string {
  const kept = Object.entries(chosen).filter((entry): entry is [string, string] =>
    entry[1] !== undefined && entry[1] !== ""
  );
  const query = new URLSearchParams(kept).toString();
  return `#/${panel}${query === "" ? "" : `?${query}`}`;
}

/** Goes to a panel, as a link does. */
export function go(panel: string, chosen?: Readonly<Record<string, string | undefined>>): void {
  location.hash = href(panel, chosen);
}

/** Changes what is chosen on this panel; undefined or "" takes a choice back. */
export function choose(changes: Readonly<Record<string, string | undefined>>): void {
  go(route.value.panel, { ...route.value.chosen, ...changes });
}
