/**
 * The API gateway of a hosted project, on one port: /rest/v1, /auth/v1, /storage/v1, /realtime/v1 and /functions/v1; below
 * /console/ the console, if it is told of one. A program of its own: stack.ts gives it GATEWAY_PORT (0 for any) and
 * GATEWAY_TRUST_CLIENT_ADDRESS in its environment, and says the rest over its standard input, when there is a database.
 */
import type { JWK } from "jose";
import { createAuth } from "./auth/auth.ts";
import type { AppleProvider } from "./auth/identities.ts";
import { AuthError, createTokens } from "./auth/tokens.ts";
import { anonymous, callerOf, GatewayError, withoutBearer } from "./callers.ts";
import { type ConsoleConfiguration, serveConsole } from "./console.ts";
import { messages, reportPort } from "../processes/child.ts";
import { createFunctionsProxy } from "./functions-proxy.ts";
import { createLite } from "./lite.ts";
import { databaseUnavailable, isConnectionLost } from "./lite-errors.ts";
import { createObjectStore } from "./storage/objects.ts";
import { loginAs, type LoginRole } from "./platform-roles.ts";
import { createPool, listen } from "./pool.ts";
import { createRealtime } from "./realtime/realtime.ts";
import { createSignedUploadUrl, createSignedUrls, serveSignedUrl } from "./storage/signed-urls.ts";

/** What the parent says: first the configuration, the functions whenever their process changes, the console if it serves one. */
export type GatewayMessage =
  | { kind: "configuration"; configuration: GatewayConfiguration }
  | { kind: "functions"; port: number | null }
  | { kind: "console"; console: ConsoleConfiguration };

export interface GatewayConfiguration {
  /** The owner's; the services log in with the same password. */
  databaseUrl: string;
  /** The project's URL, as clients see it. */
  url: string;
  publishableKey: string;
  secretKey: string;
  signingKey: JWK;
  storageSecret: string;
  /** Whose identities Auth takes. */
  apple: AppleProvider;
  /** The folder of the stored objects. */
  objects: string;
}

type Service = (request: Request, url: URL) => Promise<Response>;

/** The project's services, by the first part of the path. */
async function createServices(
  configuration: GatewayConfiguration,
): Promise<Record<"rest" | "auth" | "storage" | "realtime", Service>> {
  const { databaseUrl } = configuration;
  // Each service logs in as it does there, with its own rights and limits.
  const poolOf = (role: LoginRole) => createPool(loginAs(role, databaseUrl));
  const [restPool, authPool, storagePool, realtimePool] = [
    poolOf("authenticator"),
    poolOf("supabase_auth_admin"),
    poolOf("supabase_storage_admin"),
    poolOf("supabase_realtime_admin"),
  ];
  const tokens = await createTokens(`${configuration.url}/auth/v1`, configuration.signingKey);
  const auth = createAuth(authPool, tokens, configuration.apple);
  const parts = {
    catalogue: createPool(databaseUrl),
    objects: createObjectStore(configuration.objects),
    storageSecret: configuration.storageSecret,
  };
  const rest = createLite({ ...parts, pool: restPool });
  const storage = createLite({ ...parts, pool: storagePool });
  const realtime = createRealtime(realtimePool, tokens);
  void listen(restPool, "pgrst", { onNotify: () => void rest.reloadSchema() });

  const identify = (request: Request, url: URL) => callerOf(request, url, configuration, tokens);

  return {
    async rest(request, url) {
      try {
        return await rest.fetch(withoutBearer(request), await identify(request, url));
      } catch (error) {
        if (error instanceof AuthError) return postgrestRefusal(error);
        throw error;
      }
    },
    async auth(request, url) {
      // Only the public keys are open to everybody.
      const open = url.pathname === "/auth/v1/.well-known/jwks.json";
      const caller = open ? anonymous : await identify(request, url);
      return await auth.fetch(request, url, caller.claims);
    },
    async storage(request, url) {
      if (["GET", "HEAD"].includes(request.method) && url.pathname.startsWith("/storage/v1/object/sign/")) {
        return await serveSignedUrl(request, url, {
          pool: storagePool,
          directory: configuration.objects,
          secret: configuration.storageSecret,
        });
      }
      const signsUpload = request.method === "POST" &&
        url.pathname.startsWith("/storage/v1/object/upload/sign/");
      const open = !signsUpload && /^\/storage\/v1\/object\/(public|upload\/sign)\//.test(url.pathname);
      try {
        const caller = open ? anonymous : await identify(request, url);
        const forward = (request: Request) => storage.fetch(withoutBearer(request), caller);
        const signs = request.method === "POST" && url.pathname.startsWith("/storage/v1/object/sign/");
        const response = signs
          ? await createSignedUrls(request, url, forward)
          : signsUpload
          ? await createSignedUploadUrl(request, forward)
          : await forward(request);
        // Lite does not say why it failed. If it is the database, this fails too, and the caller is told.
        if (response.status === 500) await storagePool.query("select 1");
        return response;
      } catch (error) {
        if (!(error instanceof AuthError)) throw error;
        return Response.json({ statusCode: "403", error: "Unauthorized", message: error.message }, {
          status: 400,
        });
      }
    },
    async realtime(request, url) {
      const caller = await identify(request, url);
      return url.pathname === "/realtime/v1/websocket" ? realtime.connect(request, url, caller) : noRoute();
    },
  };
}

function noRoute(): Response {
  return Response.json({ message: "no Route matched with those values" }, { status: 404 });
}

function postgrestRefusal({ message }: AuthError): Response {
  const expired = message.endsWith("expired");
  const body = {
    code: expired ? "PGRST303" : "PGRST301",
    message: expired ? "JWT expired" : message,
    details: null,
    hint: null,
  };
  return Response.json(body, {
    status: 401,
    headers: { "www-authenticate": `Bearer error="invalid_token"` },
  });
}

/** Browsers may call a project from any page, since no cookie is a credential here. */
const corsHeaders = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "Content-Range, Content-Location, Preference-Applied",
};

function preflight(request: Request): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders,
      "access-control-allow-methods": "GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-max-age": "86400",
    },
  });
}

async function answerService(service: Service, request: Request, url: URL): Promise<Response> {
  const response = await service(request, url).catch((error) => {
    // A token that cannot be read is one of Auth's own refusals; the other services have said it in their way.
    if (error instanceof GatewayError || error instanceof AuthError) return error.response();
    if (isConnectionLost(error)) return databaseUnavailable();
    console.error(`${request.method} ${url.pathname}:`, error);
    return Response.json({ message: "An unexpected error occurred" }, { status: 500 });
  });
  // Whatever fails between a WebSocket's upgrade and its answer ends the process, and its headers cannot be set.
  if (response.status === 101) return response;
  for (const [name, value] of Object.entries(corsHeaders)) response.headers.set(name, value);
  return response;
}

async function main(port: number, trustClientAddress: boolean): Promise<void> {
  const services = Promise.withResolvers<Awaited<ReturnType<typeof createServices>>>();
  const functions = createFunctionsProxy(trustClientAddress);
  let servedConsole: ConsoleConfiguration | undefined;

  async function answer(
    request: Request,
    { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> {
    const url = new URL(request.url);
    const [, service] = /^\/(rest|auth|storage|realtime|functions)\/v1(?:\/|$)/.exec(url.pathname) ?? [];
    switch (service) {
      case "functions":
        return await functions.fetch(request, url, remoteAddr.hostname);
      case "rest":
      case "auth":
      case "storage":
      case "realtime": {
        const asks = request.method === "OPTIONS" && request.headers.has("access-control-request-method");
        return asks
          ? preflight(request)
          : await answerService((await services.promise)[service], request, url);
      }
      default:
        return servedConsole !== undefined && /^\/console(\/|$)/.test(url.pathname)
          ? await serveConsole(servedConsole, request, url)
          : noRoute();
    }
  }
  Deno.serve({ hostname: "127.0.0.1", port, onListen: (address) => reportPort(address.port) }, answer);

  for await (const message of messages<GatewayMessage>()) {
    if (message.kind === "functions") functions.moveTo(message.port);
    else if (message.kind === "console") servedConsole = message.console;
    else services.resolve(await createServices(message.configuration));
  }
  Deno.exit();
}

if (import.meta.main) {
  await main(Number(Deno.env.get("GATEWAY_PORT")), Deno.env.get("GATEWAY_TRUST_CLIENT_ADDRESS") === "true");
}
