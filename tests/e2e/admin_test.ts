/** The operator's endpoints, as an admin calls them. */
import assert from "node:assert/strict";
import { totpCode } from "../../local/platform/auth/factors.ts";
import { decodeJwt } from "jose";
import * as z from "zod";
import { AdministeredUser, MovedCredits } from "../../supabase/functions/_shared/ops/contract.ts";
import { AdminModelsResponse, ChangeModelResponse } from "../../supabase/functions/admin-models/schema.ts";
import { ModelsResponse } from "../../supabase/functions/models/schema.ts";
import { type Answer, bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, generate, kling, priceOfKling, videoStatus } from "./support/videos.ts";

const backend = shared(startBackend);
let admin: Guest;

Deno.test.beforeAll(async () => {
  admin = await backend.signInAdmin();
});
Deno.test.afterEach(() => backend.proveLedger());

const reason = "As the customer asked";

interface CreditsRequest {
  user_id: string;
  amount: number;
  reason?: string;
  job_id?: string;
}

const move = (
  name: "refund" | "adjust",
  body: CreditsRequest,
  key: string = crypto.randomUUID(),
  caller = admin,
) => caller.call(`admin-${name}-credits`, { body: { reason, ...body }, key });
const ban = (user: Guest, action: "ban" | "unban", caller = admin) =>
  caller.call("admin-users", { body: { user_id: user.id, action, reason } });
const read = async (user: Guest) =>
  bodyOf(await admin.call(`admin-users?user_id=${user.id}`), 200, AdministeredUser);
const changeModel = (isAvailable: boolean, caller = admin, modelId = kling) =>
  caller.call("admin-models", {
    method: "PATCH",
    body: { model_id: modelId, is_available: isAvailable, reason },
  });
const movedOf = (answer: Answer) => bodyOf(answer, 200, MovedCredits);

// First, before the functions remember the catalogue.
Deno.test("a model that an admin takes away is gone from the catalogue, and for new videos", async () => {
  const guest = await backend.signIn(priceOfKling);
  const model = bodyOf(await changeModel(false), 200, ChangeModelResponse);
  assert.deepEqual([model.id, model.is_available], [kling, false]);
  const shown = bodyOf(await admin.call("admin-models"), 200, AdminModelsResponse).models
    .find(({ id }) => id === kling);
  assert(shown !== undefined);
  const { providers, ...rest } = shown;
  assert.deepEqual(rest, model);
  assert.deepEqual(providers[0], { provider: "fal", is_enabled: true, breaker: "closed", cost_cents: 35 });

  const { models } = bodyOf(await guest.call("models"), 200, ModelsResponse);
  assert(!models.some(({ id }) => id === kling));
  const order = () =>
    guest.call("generate-video", { body: { model_id: kling, prompt: "A fox" }, key: crypto.randomUUID() });
  errorOf(await order(), "ERR_4002");

  const offered = bodyOf(await changeModel(true), 200, ChangeModelResponse);
  assert.deepEqual(offered, { ...model, is_available: true });
  assert.equal((await order()).status, 202);
  const unknown = crypto.randomUUID();
  assert.deepEqual(errorOf(await changeModel(true, admin, unknown), "ERR_4002").details, {
    model_id: unknown,
  });
});

Deno.test("a refund of a job gives its credits back once, and the job then shows what it used", async () => {
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest);
  const early = await move("refund", { user_id: guest.id, amount: 1, job_id });
  const { details } = errorOf(early, "ERR_4009");
  assert(["pending", "processing"].includes(String(details.status)));
  await ended(backend, guest, job_id);

  const dear = await move("refund", { user_id: guest.id, amount: priceOfKling + 1, job_id });
  const { fields } = errorOf(dear, "ERR_4008").details;
  assert.deepEqual(fields, [{
    path: "amount",
    message: `Must be at most ${priceOfKling}, what the job cost`,
  }]);
  const refunded = movedOf(await move("refund", { user_id: guest.id, amount: 3, job_id }));
  assert.equal(refunded.new_balance, 3);
  assert.equal(await backend.balanceOf(guest), 3);
  assert.equal((await videoStatus(guest, job_id)).credits_used, priceOfKling - 3);

  const again = errorOf(await move("refund", { user_id: guest.id, amount: 1, job_id }), "ERR_4009");
  assert.deepEqual(again.details, { status: "refunded" });
  const stranger = await backend.signIn(1);
  errorOf(await move("refund", { user_id: stranger.id, amount: 1, job_id }), "ERR_4007");
});

Deno.test("a repeated request is answered as the first, and moves nothing; at once, one moves", async () => {
  for (const name of ["refund", "adjust"] as const) {
    const guest = await backend.signIn(1);
    const body = { user_id: guest.id, amount: 5 };
    const first = await move(name, body, `${name}-1`);
    const again = await move(name, body, `${name}-1`);
    assert.deepEqual(movedOf(again), movedOf(first));
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assert.match(first.headers.get("ratelimit-policy") ?? "", /"admin_credits";q=10000;w=86400/);
    errorOf(await move(name, { ...body, amount: 6 }, `${name}-1`), "ERR_4011");

    const answers = await Promise.all(Array.from({ length: 8 }, () => move(name, body, `${name}-2`)));
    const moved = answers.filter(({ status }) => status === 200);
    assert(moved.length > 0);
    for (const answer of moved) assert.deepEqual(movedOf(answer), movedOf(moved[0] ?? answer));
    for (const answer of answers) if (answer.status !== 200) errorOf(answer, "ERR_4012");
    assert.equal(await backend.balanceOf(guest), 11);
  }
});

Deno.test("an adjustment takes credits as well, and never more than there are", async () => {
  const guest = await backend.signIn(5);
  const refused = errorOf(await move("adjust", { user_id: guest.id, amount: -6 }), "ERR_4001");
  assert.deepEqual(refused.details, { required: 6, available: 5 });
  assert.equal(movedOf(await move("adjust", { user_id: guest.id, amount: -5 })).new_balance, 0);
});

Deno.test("an admin gives 10,000 credits a day, and is told when there are more", async () => {
  const [generous, guest] = await Promise.all([backend.signInAdmin(), backend.signIn(1)]);
  const give = (amount: number, key?: string) => move("adjust", { user_id: guest.id, amount }, key, generous);
  movedOf(await give(9_999));
  const refused = await give(2, "two");
  const { policy, retry_after: wait } = errorOf(refused, "ERR_4004").details;
  assert.equal(policy, "admin_credits");
  assert(Number(wait) > 86_390 && Number(wait) <= 86_400, String(wait));
  assert.equal(refused.headers.get("retry-after"), String(wait));
  movedOf(await give(1));
  assert.equal(await backend.balanceOf(guest), 10_001);
});

Deno.test("nobody credits their own account", async () => {
  errorOf(await move("refund", { user_id: admin.id, amount: 1 }), "ERR_4006");
  errorOf(await move("adjust", { user_id: admin.id.toUpperCase(), amount: 1 }), "ERR_4006");
  assert.equal(await backend.balanceOf(admin), 0);
});

Deno.test("a user is shown as they are, and what was done about them with it", async () => {
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest);
  await ended(backend, guest, job_id);
  await move("refund", { user_id: guest.id, amount: 2, job_id });
  const { user, credits, jobs, recent_actions: [action] } = await read(guest);
  assert.deepEqual(
    [user.user_id, user.is_guest, user.is_banned, user.closed_at],
    [guest.id, true, false, null],
  );
  assert.deepEqual(credits, { remaining: 2, held: 0, owed: 0 });
  assert.deepEqual(jobs, { pending: 0, processing: 0, completed: 1, failed: 0, cancelled: 0 });
  assert.deepEqual({ ...action, id: null, created_at: null }, {
    id: null,
    action: "refund_credits",
    admin_id: admin.id,
    amount: 2,
    reason,
    job_id,
    created_at: null,
  });
  errorOf(await admin.call(`admin-users?user_id=${crypto.randomUUID()}`), "ERR_4007");
  // Of the request's id, the row tells what the log tells.
  const [row] = await backend.database.sql`
    select count(*)::int as rows from ops.admin_actions where user_id = ${guest.id} and request_id is not null`;
  assert.equal(row?.rows, 1);
});

Deno.test("whoever is banned is signed out and gets nothing more, until the ban is lifted", async () => {
  const guest = await backend.signIn(2 * priceOfKling);
  const { job_id } = await generate(guest);
  assert.equal(bodyOf(await ban(guest, "ban"), 200, AdministeredUser).user.is_banned, true);
  errorOf(await guest.call(`video-status?job_id=${job_id}`), "ERR_4017");
  const order = () =>
    guest.call("generate-video", { body: { model_id: kling, prompt: "A fox" }, key: crypto.randomUUID() });
  errorOf(await order(), "ERR_4017");
  const { error } = await guest.supabase.auth.refreshSession();
  assert.equal(error?.code, "refresh_token_not_found");

  assert.equal(bodyOf(await ban(guest, "unban"), 200, AdministeredUser).user.is_banned, false);
  // The session that the ban ended stays ended: they sign in anew, which here is another session for the same token.
  errorOf(await guest.call(`video-status?job_id=${job_id}`), "ERR_4005");
  const { session_id } = decodeJwt(guest.token);
  await backend.database.sql`insert into auth.sessions (id, user_id) values (${
    String(session_id)
  }, ${guest.id})`;
  assert.equal((await ended(backend, guest, job_id)).status, "completed", "what was accepted went on");
  assert.equal((await order()).status, 202);
  assert.deepEqual((await read(guest)).recent_actions.map(({ action }) => action), ["unban", "ban"]);
});

Deno.test("an admin bans neither themselves nor another admin", async () => {
  const other = await backend.signInAdmin();
  errorOf(await ban(admin, "ban"), "ERR_4006");
  errorOf(await ban(other, "ban"), "ERR_4006");
  assert.equal((await read(other)).user.is_banned, false);
});

/** One well-formed request of each operation, about this user. */
const everyOperation = (user: Guest, caller: Guest): (() => Promise<Answer>)[] => [
  () => move("refund", { user_id: user.id, amount: 1 }, crypto.randomUUID(), caller),
  () => move("adjust", { user_id: user.id, amount: 1 }, crypto.randomUUID(), caller),
  () => changeModel(true, caller),
  () => caller.call(`admin-users?user_id=${user.id}`),
  () => ban(user, "unban", caller),
];

Deno.test("who is no admin any more, or is suspended, gets nothing from the next request on", async () => {
  const { sql } = backend.database;
  const [former, suspended, user] = await Promise.all([
    backend.signInAdmin(),
    backend.signInAdmin(),
    backend.signIn(1),
  ]);
  for (const send of everyOperation(user, former)) assert.equal((await send()).status, 200);
  await sql`select ops.remove_admin(${former.id})`;
  await sql`update accounts.users set is_banned = true where id = ${suspended.id}`;
  for (const send of everyOperation(user, former)) errorOf(await send(), "ERR_4006");
  for (const send of everyOperation(user, suspended)) errorOf(await send(), "ERR_4017");
  assert.equal(await backend.balanceOf(user), 3);
});

Deno.test("a guest is no admin, whatever their row says", async () => {
  const { sql } = backend.database;
  const [guest, user] = await Promise.all([backend.signIn(1), backend.signIn(1)]);
  await sql`update accounts.users set is_admin = true where id = ${guest.id}`;
  for (const send of everyOperation(user, guest)) errorOf(await send(), "ERR_4006");
});

Deno.test("where the platform offers a second factor, an admin's session has had it", async () => {
  await using strict = await startBackend({ environment: { ADMIN_ASSURANCE_LEVEL: undefined } });
  const [once, user] = await Promise.all([strict.signInAdmin(), strict.signIn(1)]);
  for (const send of everyOperation(user, once)) errorOf(await send(), "ERR_4006");
  const { mfa } = once.supabase.auth;
  const { data: enrolled } = await mfa.enroll({ factorType: "totp" });
  assert(enrolled !== null);
  const code = totpCode(enrolled.totp.secret, Date.now());
  const { data: verified } = await mfa.challengeAndVerify({ factorId: enrolled.id, code });
  const headers = { authorization: `Bearer ${z.string().parse(verified?.access_token)}` };
  const twice: Guest = {
    ...once,
    call: (path, options = {}) =>
      once.call(path, { ...options, headers: { ...options.headers, ...headers } }),
  };
  for (const send of everyOperation(user, twice)) assert.equal((await send()).status, 200);
});
