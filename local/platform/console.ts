/**
 * The console below /console/, as a static host serves it: with a policy that lets it reach its project and nothing else.
 * Beside it what a phone has and a browser has not, for the page that plays one: a device token, and purchases.
 */
import * as z from "zod";
import { doInStore } from "../simulators/app-store/deeds.ts";
import { deviceToken } from "../simulators/device-check/bits.ts";

/** What the page is given beside its files; the shape is console/settings.ts. */
export interface ConsoleConfiguration {
  /** Of the built console. */
  readonly folder: string;
  readonly settings: { readonly url: string; readonly [name: string]: unknown };
  /** Where the simulated App Store is. */
  readonly appStoreUrl: string;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

/** The Content-Security-Policy of a console whose project has this URL. docs/deploying.md says it for other hosts. */
export function contentSecurityPolicy(url: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src data: ${url}`,
    `connect-src 'self' ${url} ${url.replace(/^http/, "ws")}`,
    `media-src ${url} blob:`,
    "form-action 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join("; ");
}

/** Answers what is below /console. */
export async function serveConsole(
  { folder, settings, appStoreUrl }: ConsoleConfiguration,
  request: Request,
  url: URL,
): Promise<Response> {
  if (url.pathname === "/console") {
    return new Response(null, { status: 308, headers: { location: "/console/" } });
  }
  const headers = {
    "content-security-policy": contentSecurityPolicy(settings.url),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
  };
  const name = url.pathname.slice("/console/".length) || "index.html";
  if (request.method === "POST" || name === "settings.json") {
    // Another site's page can neither read nor do this, also by a name of its own that leads to this machine.
    const { host, origin } = new URL(settings.url);
    const from = request.headers.get("origin");
    if (
      !isOwnHost(request.headers.get("host"), host) ||
      (from !== null && !isOwnHost(URL.parse(from)?.host, host))
    ) {
      return new Response(`Only a page of ${origin} may ask this`, { status: 403, headers });
    }
    if (name === "settings.json") return Response.json(settings, { headers });
    const asked = phoneQuestion.safeParse({ name, ...await request.json().catch(() => ({})) });
    if (!asked.success) return new Response("Nothing that a phone is asked", { status: 400, headers });
    return Response.json(await answerPhone(asked.data, appStoreUrl), { headers });
  }
  const type = types[name.split(".").at(-1) ?? ""];
  if (type === undefined || !/^[\w-]+\.\w+$/.test(name)) {
    return new Response("Not found", { status: 404, headers });
  }
  try {
    const body = await Deno.readFile(`${folder}/${name}`);
    return new Response(body, { headers: { ...headers, "content-type": type } });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return new Response("Not found", { status: 404, headers });
  }
}

/** By its number or as localhost. */
function isOwnHost(host: string | null | undefined, own: string): boolean {
  return host === own || host === own.replace("127.0.0.1", "localhost");
}

/** What the phone that the page plays asks its system. */
const phoneQuestion = z.discriminatedUnion("name", [
  z.object({ name: z.literal("device-token"), phone: z.string() }),
  z.object({
    name: z.literal("purchase"),
    kind: z.enum(["consumable", "subscription"]),
    product_id: z.string(),
    app_account_token: z.string(),
  }),
]);

async function answerPhone(asked: z.infer<typeof phoneQuestion>, appStoreUrl: string): Promise<object> {
  if (asked.name === "device-token") return { token: deviceToken(asked.phone) };
  const { signed } = await doInStore(appStoreUrl, {
    deed: asked.kind === "subscription" ? "subscribe" : "buy",
    productId: asked.product_id,
    appAccountToken: asked.app_account_token,
  });
  return { signed };
}
