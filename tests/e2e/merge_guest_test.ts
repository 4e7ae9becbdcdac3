/** A guest becomes somebody who has an account, over HTTP and as an app does it with supabase-js. */
import assert from "node:assert/strict";
import { decodeJwt, generateKeyPair, importJWK, SignJWT } from "jose";
import { MergedGuest } from "../../supabase/functions/_shared/accounts/contract.ts";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { shared } from "../shared.ts";
import { assertError, bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, newClient, startBackend } from "./support/backend.ts";
import { eventuallyDone, kling, priceOfKling } from "./support/videos.ts";

const backend: Backend = shared(startBackend);

/** Somebody who signed in with Apple; their sub, and a way to call as them. */
async function somebody(credits = 0) {
  const sub = `001234.${crypto.randomUUID().replaceAll("-", "")}.0815`;
  const supabase = newClient(backend.stack);
  const token = await backend.stack.simulators.appleId.identityToken({ sub });
  const { data: { session } } = await supabase.auth.signInWithIdToken({ provider: "apple", token });
  assert(session);
  if (credits > 0) {
    await backend.database.sql`select credits.add_credits(${session.user.id}, ${credits}, 'for a test')`;
  }
  const headers = {
    apikey: backend.stack.publishableKey,
    authorization: `Bearer ${session.access_token}`,
    "content-type": "application/json",
  };
  return {
    id: session.user.id,
    sub,
    merge: (guest_token: string) =>
      backend.call("merge-guest", { method: "POST", headers, body: JSON.stringify({ guest_token }) }),
    generate: (key: string) =>
      backend.call("generate-video", {
        method: "POST",
        headers: { ...headers, "idempotency-key": key },
        body: JSON.stringify({ model_id: kling, prompt: "A fox" }),
      }),
  };
}

/** A token of the guest's, as Auth would sign it, but for these claims. */
async function tokenWith({ token }: Guest, claims: Record<string, unknown>): Promise<string> {
  const { signingKey } = backend.keys;
  return await new SignJWT({ ...decodeJwt(token), ...claims })
    .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: signingKey.kid ?? "" })
    .sign(await importJWK(signingKey, "ES256"));
}

Deno.test("a guest whose identity is somebody's already signs in and is merged, with credits, a running video and its key", async () => {
  const user = await somebody(5);
  const guest = await backend.signIn(20);
  const { appleId, fal } = backend.stack.simulators;
  const token = await appleId.identityToken({ sub: user.sub });
  const linked = await guest.supabase.auth.linkIdentity({ provider: "apple", token });
  assert.equal(linked.error?.code, "identity_already_exists");

  await fal.control.rules({ runMilliseconds: 400 });
  const key = crypto.randomUUID();
  const body = { model_id: kling, prompt: "A fox" };
  const { job_id } = bodyOf(await guest.call("generate-video", { key, body }), 202, AcceptedVideo);
  const merged = bodyOf(await user.merge(guest.token), 200, MergedGuest);
  assert.deepEqual(merged, {
    user_id: user.id,
    merged_user_id: guest.id,
    credits_moved: 20 - priceOfKling,
    jobs_moved: 1,
    credits_remaining: 25 - priceOfKling,
  });
  assertError(await guest.call("credits"), "ERR_4005", "the guest's token");
  const retried = await user.generate(key);
  assert.equal(retried.headers.get("idempotency-replayed"), "true");
  assert.equal(bodyOf(retried, 202, AcceptedVideo).job_id, job_id);
  assert.deepEqual(bodyOf(await user.merge(guest.token), 200, MergedGuest), merged);

  // The provider's webhook, whose URL the guest's submission had, still finds its job.
  const [owner] = await backend.database.sql`select user_id from videos.jobs where id = ${job_id}`;
  assert.equal(owner?.user_id, user.id);
  await eventuallyDone(backend, "the guest's video is the heir's", async () => {
    const [job] = await backend.database.sql`select status from videos.jobs where id = ${job_id}`;
    return job?.status === "completed" ? true : undefined;
  });
  await backend.proveLedger();
});

Deno.test("a token that is stolen from another project, forged, old, over or whose session has ended merges nothing", async () => {
  const user = await somebody();
  const guest = await backend.signIn(3);
  const { privateKey } = await generateKeyPair("ES256");
  const forged = await new SignJWT(decodeJwt(guest.token))
    .setProtectedHeader({ alg: "ES256", kid: backend.keys.signingKey.kid ?? "" }).sign(privateKey);
  const now = Math.floor(Date.now() / 1000);
  const ended = await backend.signIn(3);
  await ended.supabase.auth.signOut({ scope: "local" });
  const tokens = {
    forged,
    "which is none": "token",
    "of another project": await tokenWith(guest, { iss: "https://elsewhere.example/auth/v1" }),
    "which is six minutes old": await tokenWith(guest, { iat: now - 360 }),
    "which is over": await tokenWith(guest, { exp: now - 60 }),
    "of another's session": await tokenWith(guest, {
      session_id: decodeJwt((await backend.signIn()).token).session_id,
    }),
    "of nobody": await tokenWith(guest, { sub: crypto.randomUUID() }),
    "of a session that has ended": ended.token,
    "of a service": backend.stack.secretKey,
  };
  const messages = new Set<unknown>();
  for (const [what, token] of Object.entries(tokens)) {
    const error = errorOf(await user.merge(token), "ERR_4008");
    assert(error, what);
    messages.add(JSON.stringify(error.details));
  }
  assert.equal(messages.size, 1, "nobody learns what is wrong with it");
  assert.equal(await backend.balanceOf(guest), 3);

  // The token says that they are a guest; Auth knows better.
  const linked = await backend.signIn(3);
  const token = await backend.stack.simulators.appleId.identityToken({ sub: crypto.randomUUID() });
  await linked.supabase.auth.linkIdentity({ provider: "apple", token });
  assert.equal(errorOf(await user.merge(linked.token), "ERR_4009").details.status, "not_guest");
  assert.equal(await backend.balanceOf(linked), 3);
  const asGuest = await guest.call("merge-guest", { body: { guest_token: (await backend.signIn()).token } });
  assertError(asGuest, "ERR_4006", "a guest");
});

Deno.test("a guest's token is in no log, whatever becomes of the merge", async () => {
  const user = await somebody();
  const guest = await backend.signIn();
  await user.merge(guest.token);
  await user.merge(await tokenWith(guest, { iat: 0 }));
  const signature = guest.token.split(".")[2] ?? "";
  for (const file of Object.values(backend.stack.logs)) {
    assert(!(await Deno.readTextFile(file)).includes(signature), file);
  }
});
