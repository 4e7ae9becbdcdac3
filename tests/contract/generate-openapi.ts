/**
 * Writes what is made from the endpoints' declarations and documentation, for `deno task generate`: docs/api, as OpenAPI and
 * as types, the sections of docs/api.md, the callers of docs/security.md and the function blocks of config.toml.
 */
import openapiTS, { astToString } from "openapi-typescript";
import * as z from "zod/mini";
import { callersDocument, callersDocumentOf } from "../../tools/generate/callers-document.ts";
import { configFile, functionsConfigOf } from "../../tools/generate/functions-config.ts";
import { endpointNames } from "../../tools/generate/endpoint-names.ts";
import { writeGenerated } from "../../tools/generate/written.ts";
import type { Documentation } from "../../supabase/functions/_shared/endpoint/documentation.ts";
import type { Endpoint } from "../../supabase/functions/_shared/endpoint/endpoint.ts";
import type { Declaration } from "../../supabase/functions/_shared/endpoint/operation.ts";
import { listFiles } from "../files.ts";
import { apiDocumentOf, apiFile, printedJson } from "./api-document.ts";
import { openApiDocument } from "./openapi.ts";
import type { SchemaNames } from "./openapi-schemas.ts";

const functions = new URL("../../supabase/functions/", import.meta.url);

export const openApiFile = new URL("../../docs/api/openapi.json", import.meta.url);
export const clientTypesFile = new URL("../../client/src/openapi.ts", import.meta.url);

/** What an operation is called in the documents, such as `GET models`. */
export function labelOf(name: string, { method, path }: Pick<Declaration, "method" | "path">): string {
  return `${method} ${path === undefined ? name : `${name}/${path}`}`;
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

/** What each endpoint's documentation says, by its name. */
export async function documentations(): Promise<Map<string, Documentation>> {
  const found = new Map<string, Documentation>();
  for (const name of await endpointNames()) {
    const module: { default: Documentation } = await import(
      new URL(`${name}/documentation.ts`, functions).href
    );
    found.set(name, module.default);
  }
  return found;
}

/** The contracts of the domains; what is an endpoint's own is in its schema.ts. */
async function contracts(): Promise<string[]> {
  const paths = await listFiles(new URL("../../", import.meta.url), "supabase/functions/_shared/");
  return paths.filter((path) => path.endsWith("/contract.ts")).map((path) =>
    path.replace("supabase/functions/", "")
  );
}

/** Every schema that is exported, under its export's name. */
export async function schemaNames(): Promise<SchemaNames> {
  const names = new Map<z.ZodMiniType, string>();
  const paths = [...await contracts(), ...(await endpointNames()).map((name) => `${name}/schema.ts`)];
  for (const path of paths) {
    const exported: Record<string, unknown> = await import(new URL(path, functions).href);
    for (const [name, schema] of Object.entries(exported)) {
      // What an endpoint calls its own may be another's.
      if (schema instanceof z.ZodMiniType && !names.has(schema)) names.set(schema, name);
    }
  }
  return names;
}

/** The document's text as the file holds it. */
export async function generateOpenApi(): Promise<string> {
  const document = openApiDocument(await declaredOperations(), await documentations(), await schemaNames());
  return `${printedJson(document)}\n`;
}

/**
 * The types of a client in TypeScript, made from the document's text: a member with a default may be left out. Throws
 * where the document is not valid.
 */
export async function generateClientTypes(openApi: string): Promise<string> {
  return astToString(await openapiTS(JSON.parse(openApi), { silent: true, defaultNonNullable: false }));
}

if (import.meta.main) {
  const openApi = await generateOpenApi();
  await writeGenerated(openApiFile, openApi);
  await writeGenerated(clientTypesFile, await generateClientTypes(openApi));
  const apiText = await Deno.readTextFile(apiFile);
  await writeGenerated(apiFile, apiDocumentOf(apiText, JSON.parse(openApi), await documentations()));
  const config = await Deno.readTextFile(configFile);
  await writeGenerated(configFile, functionsConfigOf(config, await endpointNames()));
  const security = await Deno.readTextFile(callersDocument);
  await writeGenerated(callersDocument, callersDocumentOf(security, await declaredOperations()));
}
