/** The panels, in the order in which they are offered. */
import type { ComponentType } from "preact";
import { Limits } from "./panels/limits.tsx";
import { Try } from "./panels/try.tsx";

export interface PanelEntry {
  /** In the address. */
  readonly name: string;
  readonly title: string;
  readonly View: ComponentType;
}

export const panels: readonly PanelEntry[] = [
  { name: "limits", title: "Limits", View: Limits },
  { name: "try", title: "Try it", View: Try },
];
