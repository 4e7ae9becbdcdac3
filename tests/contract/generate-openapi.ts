/** Writes docs/api/openapi.json from the endpoints' declarations: `deno task generate`. */
import type { Endpoint } from "../../supabase/functions/_shared/endpoint.ts";
import type { Declaration } from "../../supabase/functions/_shared/operation.ts";
import { openApiDocument } from "./openapi.ts";

const functions = new URL("../../supabase/functions/", import.meta.url);

export const openApiFile = new URL("../../docs/api/openapi.json", import.meta.url);

/** The endpoints' names: the folders of supabase/functions whose name does not start with `_`. */
export async function endpointNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(functions)) {
    if (isDirectory && !name.startsWith("_")) names.push(name);
  }
  return names.sort();
}

/** What each endpoint declares, by its name. */
export async function declaredOperations(): Promise<Map<string, readonly Declaration[]>> {
  const endpoints = new Map<string, readonly Declaration[]>();
  for (const name of await endpointNames()) {
    const module: { default: Endpoint } = await import(new URL(`${name}/index.ts`, functions).href);
    endpoints.set(name, module.default.operations);
  }
  return endpoints;
}

/** The document's text as the file holds it. */
export async function generateOpenApi(): Promise<string> {
  return `${JSON.stringify(openApiDocument(await declaredOperations()), null, 2)}\n`;
}

if (import.meta.main) {
  await Deno.mkdir(new URL(".", openApiFile), { recursive: true });
  await Deno.writeTextFile(openApiFile, await generateOpenApi());
}
