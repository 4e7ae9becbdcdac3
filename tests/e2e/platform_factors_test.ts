/** The second factor against the Auth of this machine, through supabase-js. */
import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { totpCode } from "../../local/platform/auth/factors.ts";
import { shared } from "../shared.ts";
import { type Backend, type Guest, signInWithPassword, startBackend } from "./support/backend.ts";

const backend: Backend = shared(() => startBackend({ environment: { ADMIN_ASSURANCE_LEVEL: undefined } }));

/** Enrols a factor and gives its first code. */
async function enrol({ supabase }: Guest, friendlyName = "a phone") {
  const { data, error } = await supabase.auth.mfa.enroll({ factorType: "totp", friendlyName });
  assert.equal(error, null);
  assert(data !== null);
  return data;
}

async function prove({ supabase }: Guest, factorId: string, secret: string) {
  return await supabase.auth.mfa.challengeAndVerify({ factorId, code: totpCode(secret, Date.now()) });
}

Deno.test("the codes are those of RFC 6238", () => {
  const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  const vectors: [number, string][] = [
    [59, "287082"],
    [1_111_111_109, "081804"],
    [1_111_111_111, "050471"],
    [1_234_567_890, "005924"],
    [2_000_000_000, "279037"],
    [20_000_000_000, "353130"],
  ];
  for (const [seconds, code] of vectors) assert.equal(totpCode(secret, seconds * 1000), code);
});

Deno.test("an admin enrols a second factor, and from then on their session is let in", async () => {
  const admin = await backend.signInAdmin();
  const user = await backend.signIn(5);
  const ask = (token: string) =>
    admin.call(`admin-users?user_id=${user.id}`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask(admin.token)).status, 403);
  const { id, totp } = await enrol(admin);
  assert.match(totp.uri, /^otpauth:\/\/totp\/.+secret=[A-Z2-7]{32}$/);
  assert.match(totp.qr_code, /^data:image\/svg\+xml/);
  const { data, error } = await prove(admin, id, totp.secret);
  assert.equal(error, null);
  const claims = decodeJwt(data?.access_token ?? "");
  assert.equal(claims.aal, "aal2");
  assert.deepEqual((claims.amr as { method: string }[]).map(({ method }) => method), ["totp", "password"]);
  assert.equal((await ask(data?.access_token ?? "")).status, 200);
  // A refreshed token says so, too.
  const { data: { session } } = await admin.supabase.auth.refreshSession();
  assert.equal(decodeJwt(session?.access_token ?? "").aal, "aal2");
  assert.equal((await ask(session?.access_token ?? "")).status, 200);
  const { data: factors } = await admin.supabase.auth.mfa.listFactors();
  assert.deepEqual(factors?.totp.map(({ id, status }) => [id, status]), [[id, "verified"]]);
  const { data: level } = await admin.supabase.auth.mfa.getAuthenticatorAssuranceLevel();
  assert.deepEqual([level?.currentLevel, level?.nextLevel], ["aal2", "aal2"]);
});

Deno.test("a wrong code, an old challenge and another's factor prove nothing", async () => {
  const [admin, other] = [await backend.signInAdmin(), await backend.signInAdmin()];
  const { id, totp } = await enrol(admin);
  const { mfa } = admin.supabase.auth;
  const wrong = await mfa.challengeAndVerify({ factorId: id, code: "000000" });
  assert.equal(wrong.error?.code, "mfa_verification_failed");
  const old = await mfa.challengeAndVerify({
    factorId: id,
    code: totpCode(totp.secret, Date.now() - 120_000),
  });
  assert.equal(old.error?.code, "mfa_verification_failed");
  assert.equal((await prove(other, id, totp.secret)).error?.code, "mfa_factor_not_found");
  const { data: challenge } = await mfa.challenge({ factorId: id });
  await backend.database.sql`update auth.mfa_challenges set created_at = created_at - interval '301 seconds'`;
  const late = await mfa.verify({
    factorId: id,
    challengeId: challenge?.id ?? "",
    code: totpCode(totp.secret, Date.now()),
  });
  assert.equal(late.error?.code, "mfa_challenge_expired");
  const { data: level } = await mfa.getAuthenticatorAssuranceLevel();
  assert.equal(level?.currentLevel, "aal1");
});

Deno.test("a session without the second factor adds none and takes none away, and ends when one is proved elsewhere", async () => {
  const admin = await signInWithPassword(backend.stack);
  const { id, totp } = await enrol(admin);
  await prove(admin, id, totp.secret);
  const { data: { session } } = await admin.supabase.auth.getSession();
  await backend.database.sql`update auth.sessions set aal = 'aal1' where user_id = ${admin.id}`;
  const { mfa } = admin.supabase.auth;
  assert.equal((await mfa.enroll({ factorType: "totp", friendlyName: "b" })).error?.code, "insufficient_aal");
  assert.equal((await mfa.unenroll({ factorId: id })).error?.code, "insufficient_aal");
  await backend.database.sql`update auth.sessions set aal = 'aal2' where user_id = ${admin.id}`;
  assert.equal((await mfa.unenroll({ factorId: id })).error, null);
  const { data } = await admin.supabase.auth.refreshSession();
  assert.equal(decodeJwt(data.session?.access_token ?? "").aal, "aal1");
  assert(session);
});

Deno.test("a guest has no second factor", async () => {
  const guest = await backend.signIn();
  const { error } = await guest.supabase.auth.mfa.enroll({ factorType: "totp" });
  assert.equal(error?.code, "no_authorization");
});
