/**
 * `deno task status`: where the stack of `deno task dev` or `deno task demo --serve` is, as JSON, with the names of
 * `supabase status -o json`.
 */
import { readArguments, refuse } from "./arguments.ts";
import { defaultDirectory, demoDirectory, readStatus } from "./served.ts";

const { values } = readArguments(
  `deno task status [--data=<folder>]

Prints as JSON where the stack of deno task dev is, with its keys; where there is none, that of deno task demo --serve.
  --data=<folder>   the one that deno task dev was given (.kinora)`,
  { options: { data: { type: "string" } } },
);

const { data } = values;
const status = data === undefined
  ? await readStatus(defaultDirectory) ?? await readStatus(demoDirectory)
  : await readStatus(data);
if (status === undefined) refuse("No stack is running. `deno task dev` starts one.");
if (status === null) refuse("The stack is just starting.");
console.log(status);
