/**
 * The console below /console/, as a static host serves it: with a policy that lets it reach its project and nothing else.
 * Beside it what a phone has and a browser has not, for the page that plays one: a device token, and purchases.
 */
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
  if (request.method === "POST") {
    const asked = await request.json().catch(() => null);
    return Response.json(await answerPhone(name, asked, appStoreUrl), { headers });
  }
  // No header lets another site's page read this.
  if (name === "settings.json") return Response.json(settings, { headers });
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

/** What the phone that the page plays is told by its system. */
async function answerPhone(
  name: string,
  asked: Record<string, string> | null,
  appStoreUrl: string,
): Promise<object> {
  const { phone = "", kind, product_id: productId = "", app_account_token: appAccountToken = "" } = asked ??
    {};
  if (name === "device-token") return { token: deviceToken(phone) };
  const { signed } = await doInStore(appStoreUrl, {
    deed: kind === "subscription" ? "subscribe" : "buy",
    productId,
    appAccountToken,
  });
  return { signed };
}
