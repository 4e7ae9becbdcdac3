/** Taking along: a file of all that is kept of whoever asks, for them alone, for seven days. */
import assert from "node:assert/strict";
import { decodeJwt } from "jose";
import { withConnection } from "../../local/postgres/database.ts";
import { AccountExport, Profile } from "../../supabase/functions/_shared/accounts/contract.ts";
import { untilErasable } from "../database/support/accounts.ts";
import { shared } from "../shared.ts";
import { eventually } from "./eventually.ts";
import { assertError, bodyOf, errorOf } from "./support/answer.ts";
import { type Backend, type Guest, startBackend } from "./support/backend.ts";
import { ended, filesOf, generate, priceOfKling, referenceOf } from "./support/videos.ts";

const backend: Backend = shared(startBackend);
const day = 24 * 60 * 60_000;

const ask = async (guest: Guest) =>
  bodyOf(await guest.call("user-export", { method: "POST" }), 202, AccountExport);

async function latest(guest: Guest): Promise<AccountExport | null> {
  return bodyOf(await guest.call("user-profile"), 200, Profile).export;
}

/** Lets the scheduler come by until the export is so. */
async function until(guest: Guest, status: AccountExport["status"]): Promise<AccountExport> {
  return await eventually(`the export is ${status}`, async () => {
    await backend.stack.tick();
    const shown = await latest(guest);
    return shown?.status === status ? shown : undefined;
  });
}

async function read(url: string | null): Promise<Record<string, Record<string, unknown>[]>> {
  assert(url !== null);
  const response = await fetch(url);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  return await response.json();
}

async function isGone(url: string): Promise<boolean> {
  const response = await fetch(url);
  await response.body?.cancel();
  return response.status !== 200;
}

const exportsOf = async (guest: Guest) =>
  (await filesOf(backend, guest)).filter((path) => path.includes("/exports/"));

/** A storage that takes no more exports, until it is disposed of. */
async function fullStorage(): Promise<AsyncDisposable> {
  // Storage's tables are the platform's.
  const url = new URL(backend.database.url);
  url.username = "postgres";
  const run = (text: string) => withConnection(url.href, (sql) => sql.unsafe(text));
  await run(`
    create function public.refuse_exports() returns trigger language plpgsql as $$
    begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$;
    create trigger refuse_exports before insert or update on storage.objects for each row
    when (new.name like '%/exports/%') execute function public.refuse_exports()`);
  return {
    [Symbol.asyncDispose]: async () => {
      await run("drop trigger refuse_exports on storage.objects; drop function public.refuse_exports()");
    },
  };
}

Deno.test("who asks gets a file with their videos and all that is theirs, once a day, for seven days, and nobody else gets it", async () => {
  const { database } = backend;
  const guest = await backend.signIn(priceOfKling);
  const other = await backend.signIn(priceOfKling);
  for (const [who, name] of [[guest, "canary of mine"], [other, "canary of another"]] as const) {
    await who.call("user-profile", { method: "PATCH", body: { display_name: name } });
  }
  const { job_id } = await generate(guest, "a prompt of mine");
  const { job_id: strange } = await generate(other, "a prompt of another");
  await ended(backend, guest, job_id);
  await ended(backend, other, strange);
  assert.equal(await latest(guest), null);

  const asked = await ask(guest);
  assert.deepEqual({ ...asked, requested_at: "" }, {
    status: "pending",
    requested_at: "",
    url: null,
    bytes: null,
    expires_at: null,
  });
  assert.deepEqual(await ask(guest), asked, "a second one is the same while it is pending");
  assert.deepEqual(await latest(guest), asked);
  const made = await until(guest, "ready");
  assert(made.url !== null && made.expires_at !== null);
  assert.equal(made.requested_at, asked.requested_at);
  const file = await read(made.url);
  assert.equal(file.user_id as unknown, guest.id);
  assert.deepEqual(file.videos?.map((video) => [video.job_id, video.prompt, video.content_type]), [
    [job_id, "a prompt of mine", "video/mp4"],
  ]);
  assert.deepEqual(file["accounts.users"]?.map(({ display_name }) => display_name), ["canary of mine"]);
  const tables = await database.sql`select t.relation from accounts.exported_tables() as t (relation)`;
  assert.deepEqual(Object.keys(file), ["user_id", "videos", ...tables.map(({ relation }) => relation)]);
  const whole = JSON.stringify(file);
  for (const text of ["another", other.id, strange, await referenceOf(backend, other)]) {
    assert(!whole.includes(text), text);
  }

  const [path = ""] = await exportsOf(guest);
  for (const supabase of [guest.supabase, other.supabase]) {
    const { data } = await supabase.storage.from("videos").download(path);
    assert.equal(data, null, "the bucket opens to nobody without its URL");
  }
  assert.equal(await latest(other), null);
  const { exp, iat } = decodeJwt(new URL(made.url).searchParams.get("token") ?? "");
  assert.equal(Number(exp) - Number(iat), 600, "its URL is good for 10 minutes");

  const refused = await guest.call("user-export", { method: "POST" });
  assertError(refused, "ERR_4004", "a second one the same day");
  const { details } = errorOf(refused);
  assert.equal(details.policy, "exports");
  assert(Number(details.retry_after) > 86_000 && Number(details.retry_after) <= 86_400);

  await database.advance(day + 1_000);
  // An isolate remembers a refusal for a minute, by its own clock.
  await backend.stack.functions.kill();
  await backend.stack.functions.start();
  const next = await ask(guest);
  assert.equal(next.status, "pending");
  await until(guest, "ready");
  assert.equal((await exportsOf(guest)).length, 2, "the older one has its own seven days");

  await database.advance(7 * day + 1_000);
  assert.equal(await latest(guest), null, "it is not shown any more, whether or not it was removed");
  await eventually("the files are removed", async () => {
    await backend.stack.tick();
    return (await exportsOf(guest)).length === 0 || undefined;
  });
  assert(await isGone(made.url));
  await eventually("their rows are, too", async () => {
    const rows = await database.sql`select from accounts.exports where user_id = ${guest.id}`;
    return rows.length === 0 || undefined;
  });
});

Deno.test("a storage that is full fails the export in the end, and another may be asked for at once", async () => {
  const guest = await backend.signIn();
  {
    await using _ = await fullStorage();
    await ask(guest);
    await eventually("it has failed", async () => {
      await backend.database.advance(900_000);
      await backend.stack.tick();
      return (await latest(guest))?.status === "failed" || undefined;
    });
    const [tries] = await backend.database.sql`
      select max((e.context ->> 'attempt')::int) as attempts from ops.error_log as e where e.context ->> 'task' = 'export_account'`;
    assert(tries?.attempts >= 1);
  }
  assert.equal((await ask(guest)).status, "pending");
  const { url } = await until(guest, "ready");
  assert.deepEqual(Object.keys(await read(url)).slice(0, 2), ["user_id", "videos"]);
});

Deno.test("a storage that is full for a while only delays the export", async () => {
  const guest = await backend.signIn();
  {
    await using _ = await fullStorage();
    await ask(guest);
    await eventually("it was tried twice", async () => {
      await backend.database.advance(10_000);
      await backend.stack.tick();
      const rows = await backend.database.sql`
        select from queue.tasks as t where t.owner_id = ${guest.id} and t.kind = 'export_account' and t.attempts >= 2`;
      return rows.length > 0 || undefined;
    });
    assert.equal((await latest(guest))?.status, "pending");
  }
  await backend.database.advance(900_000);
  await read((await until(guest, "ready")).url);
});

Deno.test("an account that is closed keeps no export, made or not", async () => {
  const made = await backend.signIn();
  await ask(made);
  const { url } = await until(made, "ready");
  assert(url !== null);
  const pending = await backend.signIn();
  await ask(pending);
  for (const guest of [made, pending]) {
    assert.equal((await guest.call("user-profile", { method: "DELETE" })).status, 202);
    assertError(await guest.call("user-export", { method: "POST" }), "ERR_4005", "a closed account");
  }
  await backend.stack.tick();
  await backend.database.advance(untilErasable);
  await eventually("both are erased", async () => {
    await backend.stack.tick();
    const rows = await backend.database.sql`
      select from accounts.erasures where user_id in (${made.id}, ${pending.id})`;
    return rows.length === 2 || undefined;
  });
  for (const guest of [made, pending]) assert.deepEqual(await filesOf(backend, guest), []);
  assert(await isGone(url));
  const rows = await backend.database.sql`
    select from accounts.exports where user_id in (${made.id}, ${pending.id})`;
  assert.equal(rows.length, 0);
});

Deno.test("an account with 10,000 jobs is exported whole, in one file", async () => {
  const { sql } = backend.database;
  const guest = await backend.signIn(priceOfKling);
  const { job_id } = await generate(guest, "one of many");
  await ended(backend, guest, job_id);
  await sql`
    insert into videos.jobs
    select (jsonb_populate_record(j, jsonb_build_object('id', core.new_id(), 'client_reference', n::text))).*
    from videos.jobs as j, generate_series(1, 9999) as n where j.id = ${job_id}`;
  await ask(guest);
  const begun = performance.now();
  const { url, bytes } = await until(guest, "ready");
  const seconds = (performance.now() - begun) / 1000;
  const file = await read(url);
  assert.equal(file["videos.jobs"]?.length, 10_000);
  assert.equal(new Set(file["videos.jobs"]?.map(({ id }) => id)).size, 10_000);
  console.log(`${bytes} bytes in ${seconds.toFixed(1)} s`);
});
