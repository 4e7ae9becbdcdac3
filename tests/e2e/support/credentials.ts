import type { Auth } from "../../../supabase/functions/_shared/endpoint/context.ts";
import type { Backend, Guest } from "./backend.ts";

/** Headers that an operation for this kind of caller accepts; `guest` is who calls as a user. */
export function credentialsFor({ stack }: Backend, guest: Guest, auth: Auth): Record<string, string> {
  const { publishableKey, secretKey } = stack;
  switch (auth) {
    case "user":
    case "admin":
      return { apikey: publishableKey, authorization: `Bearer ${guest.token}` };
    case "service":
    case "worker":
    case "metrics":
      return { apikey: secretKey };
    case "signed":
    case "public":
      return {};
  }
}
