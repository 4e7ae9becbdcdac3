/** The bodies of requests to Auth. */
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";
import { AuthError } from "./tokens.ts";

export type Body = Record<string, unknown>;

/** The body; empty where there is none. Throws AuthError for what is no JSON. */
export async function bodyOf(request: Request): Promise<Body> {
  const text = await request.text();
  const body = text === "" ? {} : tryParseJson(text);
  if (body === undefined) throw new AuthError(400, "bad_json", "Could not parse request body as JSON");
  return objectOf(body);
}

/** An object as it is, and nothing for whatever is none. */
export function objectOf(value: unknown): Body {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** A text that must be there. Throws AuthError for any other value. */
export function textOf(value: unknown): string {
  if (typeof value !== "string" || value === "") {
    throw new AuthError(400, "validation_failed", "A required field is missing");
  }
  return value;
}
