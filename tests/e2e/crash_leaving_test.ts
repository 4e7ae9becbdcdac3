/**
 * A crash at every step of taking along and leaving, of which the quick tests run a sample: an export is written, the
 * account is closed, and Apple is told. As in crash_test.ts, the functions are killed before and after each of their calls.
 */
import assert from "node:assert/strict";
import { AccountExport, Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { untilErasable } from "../database/support/accounts.ts";
import { bodyOf } from "./support/answer.ts";
import {
  backend,
  call,
  calls,
  isTrue,
  restart,
  type Run,
  tick,
  until,
  untilQuiet,
} from "./support/crash-steps.ts";
import { assertSurvivesCrashes, procedure } from "./support/crash-points.ts";
import type { Point } from "./support/port-calls.ts";
import { filesOf } from "./support/videos.ts";

const appleId = () => backend.stack.simulators.appleId;

async function play(target: Point | null): Promise<{ run: Run; sub: string }> {
  const { sql } = backend.database;
  const run: Run = { guest: await backend.signIn(), prompt: "", jobId: "" };
  const sub = crypto.randomUUID();
  await untilQuiet();
  calls.reset(target, restart);

  // A lost answer is asked for again, and is then of the same export, or of one that is there.
  const asked = await call(run, "user-export", { method: "POST" });
  if (asked.status !== 429) bodyOf(asked, 202, AccountExport);
  await tick();
  await until("the file is written", () =>
    isTrue(sql`
    select from accounts.exports as e where e.user_id = ${run.guest.id} and e.made_at is not null`));
  const { export: made } = bodyOf(await call(run, "user-profile", {}), 200, Profile);
  assert.equal(made?.status, "ready");
  const file = await (await fetch(made.url ?? "")).json();
  assert.equal(file.user_id, run.guest.id);
  assert(Array.isArray(file["accounts.users"]));

  const body = { apple_authorization_code: appleId().authorizationCode(sub) };
  const closed = await call(run, "user-profile", { method: "DELETE", body });
  if (closed.status !== 202) assert.equal(closed.status, 401, "an earlier try has closed it");
  await tick();
  await until("Apple was told, or never will be", () =>
    isTrue(sql`
    select where not exists (select from queue.tasks as t where t.kind = 'revoke_apple_sign_in')`));
  await backend.database.advance(untilErasable);
  await tick();
  await until("nothing is left to do", () => isTrue(sql`select where not exists (select from queue.tasks)`));
  await untilQuiet();
  return { run, sub };
}

/**
 * Apple has revoked, and the operator knows of nothing. Only where the crash took what Apple gave for the code may Apple
 * have it still, and then the operator knows.
 */
async function prove({ run, sub }: { run: Run; sub: string }): Promise<void> {
  const { consents } = await appleId().control.report();
  const alerts = await backend.database.sql`
    select from ops.alerts as a where a.rule = 'apple_sign_in_not_revoked' and a.subject = ${run.guest.id}`;
  const isLeft = consents.includes(sub);
  assert.equal(alerts.length, isLeft ? 1 : 0, "the operator is told what is so");
  assert(!isLeft || tokenIsTaken(calls.untilCrash), "nothing was lost, and Apple has it still");
  assert.deepEqual(await filesOf(backend, run.guest), []);
  assert(
    await isTrue(backend.database.sql`select from accounts.erasures as r where r.user_id = ${run.guest.id}`),
  );
}

/** Whether the functions were killed between asking Apple to exchange the code and having written down what it gave. */
function tokenIsTaken(untilCrash: readonly Point[]): boolean {
  // The call at which they were killed has not left before it.
  const last = untilCrash.at(-1);
  const left = last?.side === "before" ? untilCrash.slice(0, -1) : untilCrash;
  return left.some(({ call }) => call === "POST /auth/token") &&
    !left.some(({ call, side }) => call === "POST /rest/v1/rpc/keep_apple_token" && side === "after");
}

Deno.test("an export, a closing and what Apple is told survive a crash at every step", () =>
  assertSurvivesCrashes(play, prove, [
    ...["user_export", "load_export", "load_export_page", "finish_export"].map(procedure),
    ...["delete_user_profile", "keep_apple_token", "finish_apple_revocation"].map(procedure),
    "POST /auth/token",
    "POST /auth/revoke",
  ]));
