/** The panels, in the order in which they are offered. */
import type { ComponentType } from "preact";
import { Jobs } from "./panels/jobs.tsx";
import { Limits } from "./panels/limits.tsx";
import { Overview } from "./panels/overview.tsx";
import { Search } from "./panels/search.tsx";
import { Try } from "./panels/try.tsx";
import { Users } from "./panels/users.tsx";

export interface PanelEntry {
  /** In the address. */
  readonly name: string;
  readonly title: string;
  readonly View: ComponentType;
}

export const panels: readonly PanelEntry[] = [
  { name: "overview", title: "Overview", View: Overview },
  { name: "search", title: "Search", View: Search },
  { name: "jobs", title: "Jobs", View: Jobs },
  { name: "users", title: "Users", View: Users },
  { name: "limits", title: "Limits", View: Limits },
  { name: "try", title: "Try it", View: Try },
];
