/** Who is an admin, and that what admins did stays written. */
import assert from "node:assert/strict";
import { owner } from "../../../local/platform/platform-roles.ts";
import { actionsAbout, createAdmin, createCustomer, makeAdmin, signUp } from "../support/admins.ts";
import { first } from "../support/ledger.ts";
import { sharedDatabase } from "../support/shared-database.ts";

const database = sharedDatabase();
const { sql } = database;

/** Why a user may not act as an admin. */
async function refusal(userId: string): Promise<string | null> {
  const { code } = await first(database.sql<{ code: string | null }[]>`
    select a.refusal ->> 'error' as code from ops.admit_admin(${userId}) as a`);
  return code;
}

Deno.test("the operator makes an admin in the dashboard, which is written down once", async () => {
  const user = await signUp(sql);
  assert.equal(await makeAdmin(sql, user), `${user} is an admin now`);
  assert.equal(await makeAdmin(sql, user), `${user} is an admin already`);
  const remove = async () =>
    (await first(sql<{ said: string }[]>`select ops.remove_admin(${user}) as said`)).said;
  assert.equal(await refusal(user), null);
  assert.equal(await remove(), `${user} is no admin any more`);
  assert.equal(await remove(), `${user} is no admin`);
  assert.equal(await refusal(user), "ERR_4006");
  const actions = await actionsAbout(sql, user);
  assert.deepEqual(actions.map(({ action, admin_id, reason }) => [action, admin_id, reason]), [
    ["make_admin", null, `by ${owner} in the database`],
    ["remove_admin", null, `by ${owner} in the database`],
  ]);
});

Deno.test("nobody is made an admin who does not exist, is a guest, or whose account is closed or suspended", async () => {
  await assert.rejects(makeAdmin(sql, crypto.randomUUID()), { code: "P0002" });
  await assert.rejects(makeAdmin(sql, await createCustomer(sql)), { message: /is a guest/ });
  for (const change of ["closed_at = core.now()", "is_banned = true"]) {
    const user = await signUp(sql);
    await sql`select accounts.admit(${user})`;
    await sql.unsafe(`update accounts.users set ${change} where id = '${user}'`);
    await assert.rejects(makeAdmin(sql, user), { message: /is closed or suspended/ });
    const row = await first(sql`select u.is_admin from accounts.users as u where u.id = ${user}`);
    assert.equal(row["is_admin"], false);
    assert.deepEqual(await actionsAbout(sql, user), []);
  }
});

Deno.test("what an admin did is never changed or deleted, by the owner neither", async () => {
  const admin = await createAdmin(sql);
  for (
    const statement of [
      `update ops.admin_actions set reason = 'none' where user_id = '${admin}'`,
      `delete from ops.admin_actions where user_id = '${admin}'`,
      `truncate ops.admin_actions`,
    ]
  ) {
    await assert.rejects(sql.unsafe(statement), { code: "42501" }, statement);
  }
});

Deno.test("whether a caller is an active admin is asked anew each time", async () => {
  assert.equal(await refusal(await signUp(sql)), "ERR_4006");
  assert.equal(await refusal(await createCustomer(sql)), "ERR_4006");
  const admin = await createAdmin(sql);
  assert.equal(await refusal(admin), null);
  await sql`update accounts.users set is_banned = true where id = ${admin}`;
  assert.equal(await refusal(admin), "ERR_4017");
  await sql`update accounts.users set closed_at = core.now(), is_admin = false where id = ${admin}`;
  assert.equal(await refusal(admin), "ERR_4005");
});
