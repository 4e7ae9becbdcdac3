/** A function that tells what the platform gave it, for the tests of the local platform. */
import { extractCredentials, verifyCredentials } from "@supabase/server/core";

declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void };

async function answer(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const target = url.searchParams.get("target") ?? "";
  switch (url.searchParams.get("do")) {
    case "verify": {
      const { data, error } = await verifyCredentials(extractCredentials(request), {
        auth: "user",
        audience: "authenticated",
        issuer: `${Deno.env.get("SUPABASE_URL")}/auth/v1`,
        env: {
          url: Deno.env.get("SUPABASE_URL") ?? "",
          publishableKeys: JSON.parse(Deno.env.get("SUPABASE_PUBLISHABLE_KEYS") ?? ""),
          secretKeys: JSON.parse(Deno.env.get("SUPABASE_SECRET_KEYS") ?? ""),
          jwks: JSON.parse(Deno.env.get("SUPABASE_JWKS") ?? ""),
        },
      });
      return error === null
        ? Response.json(data.jwtClaims)
        : Response.json({ code: error.code }, { status: error.status });
    }
    case "background":
      EdgeRuntime.waitUntil((async () => {
        await (await fetch(`${target}/begun`)).body?.cancel();
        // Many steps, so that a process that does not wait for the work ends in the middle of it.
        for (let step = 0; step < 50; step++) await (await fetch(`${target}/step`)).body?.cancel();
        await (await fetch(`${target}/done`)).body?.cancel();
      })());
      return new Response(null, { status: 202 });
    case "exit":
      Deno.exit(7);
      break;
    case "write":
      await Deno.writeTextFile("/tmp/probe", "");
      break;
  }
  return Response.json({
    path: url.pathname + url.search,
    method: request.method,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
    environment: Deno.env.toObject(),
    pid: Deno.pid,
  }, { status: 201, headers: { "x-probe": "yes" } });
}

export default { fetch: answer };
