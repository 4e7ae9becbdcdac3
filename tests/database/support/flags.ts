/** Feature flags, as the operator makes them. */
import type { FlagDefinition } from "../../../tools/flags/flagd.ts";
import { putFlag } from "../../../tools/flags/stored.ts";
import type { Sql } from "./ledger.ts";

/** A boolean flag that is on, but for what is said. */
export function newFlag(flag: Partial<FlagDefinition> & { key: string }): FlagDefinition {
  return {
    type: "boolean",
    is_enabled: true,
    is_switch: false,
    is_experiment: false,
    variants: { on: true, off: false },
    default_variant: "on",
    off_variant: "off",
    rules: [],
    description: null,
    ...flag,
  };
}

/** Makes it, or makes it so. */
export async function makeFlag(sql: Sql, flag: FlagDefinition): Promise<boolean> {
  return await putFlag(sql, flag, "for a test");
}
