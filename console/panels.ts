/** The panels, in the order in which they are offered. */
import type { ComponentType } from "preact";
import { Alerts } from "./panels/faults/alerts.tsx";
import { Cases } from "./panels/faults/cases.tsx";
import { DeadLetters } from "./panels/faults/dead-letters.tsx";
import { Errors } from "./panels/faults/errors.tsx";
import { Flags } from "./panels/offer/flags.tsx";
import { Jobs } from "./panels/people/jobs.tsx";
import { Limits } from "./panels/offer/limits.tsx";
import { Models } from "./panels/offer/models.tsx";
import { Overview } from "./panels/overview.tsx";
import { Products } from "./panels/offer/products.tsx";
import { Search } from "./panels/people/search.tsx";
import { Try } from "./panels/try.tsx";
import { Users } from "./panels/people/users.tsx";
import { Webhooks } from "./panels/faults/webhooks.tsx";

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
  { name: "models", title: "Models", View: Models },
  { name: "products", title: "Products", View: Products },
  { name: "limits", title: "Limits", View: Limits },
  { name: "flags", title: "Flags", View: Flags },
  { name: "alerts", title: "Alerts", View: Alerts },
  { name: "webhooks", title: "Webhooks", View: Webhooks },
  { name: "dead-letters", title: "Dead letters", View: DeadLetters },
  { name: "errors", title: "Errors", View: Errors },
  { name: "cases", title: "Cases", View: Cases },
  { name: "try", title: "Try it", View: Try },
];
