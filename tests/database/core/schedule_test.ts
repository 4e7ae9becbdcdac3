/** The migrations on servers that have the files of pg_net and pg_cron, or stand-ins for them. */
import assert from "node:assert/strict";
import type postgres from "postgres";
import { createDatabase, withConnection } from "../../../local/postgres/database.ts";
import { migrate } from "../../../local/postgres/migrations.ts";
import { preparePlatform } from "../../../local/platform/platform.ts";
import { loginAs, owner } from "../../../local/platform/platform-roles.ts";
import { type Postgres, startPostgres } from "../../../local/postgres/postgres.ts";

/** The server must be our own, since extensions are files beside it. */
Deno.env.delete("DATABASE_URL");

let dataDirectory: string;
/** One for all tests: each writes the extensions' files anew, and has a database of its own. */
let server: Postgres;

Deno.test.beforeAll(async () => {
  dataDirectory = await Deno.makeTempDir();
  server = await startPostgres({ dataDirectory });
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await Deno.remove(dataDirectory, { recursive: true });
});

interface Extensions {
  /** SQL that each of them runs when it is made. */
  pg_net: string;
  pg_cron: string;
  /** Lines of their control files. */
  control: string;
}

/** Of pg_cron's stand-in; the first is made, and the others are what it can be updated to. */
const cronVersions = ["1.6", "1.4", "1.5", "1.10.1"];

/** Runs `work` as the superuser in a database that was migrated while the server had these extensions. */
async function withMigrated<T>(
  { control, ...scripts }: Extensions,
  work: (sql: postgres.Sql, url: string) => Promise<T>,
): Promise<T> {
  const folder = `${dataDirectory}/binaries/share/postgresql/extension`;
  const [version = ""] = cronVersions;
  for (const [name, script] of Object.entries(scripts)) {
    await Deno.writeTextFile(`${folder}/${name}.control`, `default_version = '${version}'\n${control}\n`);
    await Deno.writeTextFile(`${folder}/${name}--${version}.sql`, script);
  }
  for (const from of cronVersions) {
    for (const to of cronVersions) {
      if (from !== to) await Deno.writeTextFile(`${folder}/pg_cron--${from}--${to}.sql`, "");
    }
  }
  await using database = await createDatabase(server.url());
  await preparePlatform(database.url);
  await migrate(database.url);
  return await withConnection(database.url, (sql) => work(sql, database.url));
}

/** What a migrated database then has: its extensions with their schemas, and `also`. */
async function migrateWith(extensions: Extensions, also: string): Promise<unknown> {
  return await withMigrated(extensions, async (sql) => ({
    extensions: (await sql<{ line: string }[]>`
      select format('%s in %s', extname, extnamespace::regnamespace) as line from pg_extension
      where extname in ('pg_net', 'pg_cron') order by 1`).map(({ line }) => line),
    also: (await sql.unsafe(also)).map((row) => ({ ...row })),
  }));
}

/** As much of them as the migrations and the tick use. The platform lets its owner make them. */
const platform: Extensions = {
  control: "trusted = true",
  pg_net: `
    create schema net;
    create table net.http_request_queue (url text, headers jsonb, body jsonb);
    create function net.http_post(url text, headers jsonb, body jsonb) returns bigint language sql as
      'insert into net.http_request_queue values ($1, $2, $3) returning 1::bigint';
    grant usage on schema net to public;
    grant all on net.http_request_queue to public;
  `,
  pg_cron: `
    create schema cron;
    create table cron.job (jobname text, schedule text, command text, username text, active boolean default true);
    create function cron.schedule(text, text, text) returns void language sql as
      'insert into cron.job values ($1, $2, $3, current_user)';
    grant usage on schema cron to public;
    grant insert, select on cron.job to public;
  `,
};

/** As the platform has it, but for the encryption. */
const vault = `
  create schema vault;
  create table vault.decrypted_secrets (name text, decrypted_secret text);
  grant usage on schema vault to ${owner};
  grant select on vault.decrypted_secrets to ${owner};
  insert into vault.decrypted_secrets values
    ('kinora_functions_url', 'https://abcdefghijklmnopqrst.supabase.co/functions/v1'),
    ('kinora_worker_key', '${"k".repeat(32)}');
`;

Deno.test("pg_net stands in the schema extensions, and pg_cron calls the tick as the owner", async () => {
  const made = await migrateWith(
    platform,
    "select jobname, schedule, command, username from cron.job order by jobname",
  );
  assert.deepEqual(made, {
    extensions: ["pg_cron in public", "pg_net in extensions"],
    also: ["kinora-tick", "kinora-tick-2"].map((jobname) => (
      { jobname, schedule: "5 seconds", command: "call core.tick()", username: owner }
    )),
  });
});

Deno.test("a session that is left in a transaction holds its locks for a minute at most", () =>
  withMigrated(platform, async (_, url) => {
    const [row] = await withConnection(
      loginAs(owner, url),
      (sql) => sql`select current_setting('idle_in_transaction_session_timeout') as timeout`,
    );
    assert.equal(row?.["timeout"], "1min");
  }));

Deno.test("extensions that are there and not preloaded, or the superuser's to make, do no harm", async () => {
  const notPreloaded = "do $$ begin raise exception 'it must be loaded by shared_preload_libraries'; end $$;";
  for (const control of ["trusted = true", "superuser = true"]) {
    const made = await migrateWith(
      { control, pg_net: notPreloaded, pg_cron: notPreloaded },
      "select count(*)::int as models from videos.models",
    );
    assert.deepEqual(made, { extensions: [], also: [{ models: 4 }] }, control);
  }
});

Deno.test("what a hosted project lacks is named, each part by itself, and where nothing is missing there is nothing to say", () =>
  withMigrated(platform, async (superuser, url) => {
    const missing = () =>
      withConnection(loginAs(owner, url), async (sql) => {
        const [row] = await sql<{ missing: string[] }[]>`select core.missing_parts() as missing`;
        return row?.missing;
      });
    assert.deepEqual(await missing(), ["functions_url", "worker_key"], "without Vault");
    await superuser.unsafe(vault);
    assert.deepEqual(await missing(), [], "a project that is complete");

    const secret = (name: string, value: string | null) =>
      superuser`update vault.decrypted_secrets set decrypted_secret = ${value} where name = ${name}`;
    // As a file or a terminal leaves it.
    for (const space of ["\n", "\r\n", " ", "\t"]) {
      const address = { url: "https://abcdefghijklmnopqrst.supabase.co/functions/v1", key: "k".repeat(32) };
      await secret("kinora_functions_url", `${space}${address.url}${space}`);
      await secret("kinora_worker_key", `${space}${address.key}${space}`);
      assert.deepEqual(await missing(), [], JSON.stringify(space));
      const read = await withConnection(
        url,
        async (sql) => [...await sql`select * from core.worker_address()`],
      );
      assert.deepEqual(read, [address]);
    }
    const changes: [string, () => Promise<unknown>, () => Promise<unknown>, string[]][] = [
      [
        "pg_cron that knows no seconds",
        () => superuser.unsafe("alter extension pg_cron update to '1.4'"),
        () => superuser.unsafe("alter extension pg_cron update to '1.5'"),
        ["pg_cron"],
      ],
      [
        "a job that was switched off",
        () => superuser`update cron.job set active = false`,
        () => superuser`update cron.job set active = true`,
        ["tick_job"],
      ],
      [
        "a job of another name",
        () => superuser`update cron.job set jobname = 'other' where jobname = 'kinora-tick'`,
        () => superuser`update cron.job set jobname = 'kinora-tick' where jobname = 'other'`,
        ["tick_job"],
      ],
      [
        "a URL that is not the functions'",
        () => secret("kinora_functions_url", "https://abcdefghijklmnopqrst.supabase.co"),
        () => secret("kinora_functions_url", "https://abcdefghijklmnopqrst.supabase.co/functions/v1"),
        ["functions_url"],
      ],
      [
        "a key that is too short",
        () => secret("kinora_worker_key", "k".repeat(31)),
        () => secret("kinora_worker_key", "k".repeat(32)),
        ["worker_key"],
      ],
      [
        "no key",
        () => secret("kinora_worker_key", null),
        () => secret("kinora_worker_key", "k".repeat(32)),
        ["worker_key"],
      ],
      [
        "no policy that lets anybody hear",
        () => superuser.unsafe("alter policy listen_to_own_channel on realtime.messages rename to other"),
        () => superuser.unsafe("alter policy other on realtime.messages rename to listen_to_own_channel"),
        ["realtime_policy"],
      ],
    ];
    for (const [name, breakIt, mendIt, expected] of changes) {
      await breakIt();
      assert.deepEqual(await missing(), expected, name);
      await mendIt();
      assert.deepEqual(await missing(), [], `after ${name}`);
    }
    await superuser.unsafe("alter extension pg_cron update to '1.10.1'");
    assert.deepEqual(await missing(), [], "1.10 is newer than 1.5");

    const [old] = await superuser`select core.missing_parts(160010) as missing`;
    assert.deepEqual(old?.["missing"], ["postgres_17"]);
    await superuser`drop extension pg_net cascade`;
    await superuser`drop schema if exists net cascade`;
    await superuser`drop extension pg_cron`;
    assert.deepEqual(await missing(), ["pg_cron", "pg_net"]);
  }));

Deno.test("a tick with work to do posts to the worker with the worker's key, and with no other", () =>
  withMigrated(platform, async (superuser, url) => {
    await superuser.unsafe(vault);
    await withConnection(loginAs(owner, url), (sql) => sql`select core.call_worker()`);
    const posted = await superuser`select url, headers, body from net.http_request_queue`;
    assert.deepEqual(posted.map((row) => ({ ...row })), [{
      url: "https://abcdefghijklmnopqrst.supabase.co/functions/v1/process-jobs",
      headers: { authorization: `Bearer ${"k".repeat(32)}`, "content-type": "application/json" },
      body: {},
    }]);
  }));

Deno.test("whatever stands in Vault, the tick goes on, and the operator is told that the worker is not woken", () => {
  const secrets: [string, string][] = [
    [
      "a URL without a scheme",
      "update vault.decrypted_secrets set decrypted_secret = 'abc.supabase.co' where name = 'kinora_functions_url'",
    ],
    [
      "a URL with brackets",
      "update vault.decrypted_secrets set decrypted_secret = 'https://<ref>.supabase.co' where name = 'kinora_functions_url'",
    ],
    [
      "a URL with a space",
      "update vault.decrypted_secrets set decrypted_secret = 'https://a b.co' where name = 'kinora_functions_url'",
    ],
    [
      "secrets that were written with another root key",
      `alter table vault.decrypted_secrets rename to secrets;
       create function vault.decrypt(text) returns text language plpgsql as $$ begin raise exception 'invalid ciphertext'; end $$;
       create view vault.decrypted_secrets as select name, vault.decrypt(decrypted_secret) as decrypted_secret from vault.secrets;
       grant select on vault.decrypted_secrets to public;
       grant usage on schema vault to public`,
    ],
  ];
  // As pg_net does, which takes no URL that libcurl would not.
  const strict = {
    ...platform,
    pg_net: platform.pg_net.replace(
      /create function net\.http_post[^]*?;\n/,
      () =>
        `create function net.http_post(url text, headers jsonb, body jsonb) returns bigint language plpgsql as $$ begin
         if url !~ '^https?://[a-z0-9.-]+/' then raise exception 'couldn''t parse %', url; end if;
         insert into net.http_request_queue values (url, headers, body);
         return 1;
       end $$;\n`,
    ),
  };
  return withMigrated(strict, async (superuser, url) => {
    await superuser.unsafe(vault);
    await withConnection(loginAs(owner, url), async (sql) => {
      await sql`select queue.add('poll', gen_random_uuid(), null, now())`;
      for (const [name, statements] of secrets) {
        await superuser.unsafe(statements).simple();
        await sql`delete from ops.alerts`;
        await sql`update core.scheduled_tasks set next_run_at = '-infinity', last_run_at = null, last_error = null`;
        await sql`call core.tick()`;
        const rows = await sql<{ name: string; has_run: boolean; failed: boolean }[]>`
          select t.name, t.last_run_at is not null as has_run, t.last_error is not null as failed from core.scheduled_tasks as t`;
        assert.ok(rows.every(({ has_run }) => has_run), name);
        assert.deepEqual(rows.filter(({ failed }) => failed).map(({ name }) => name), ["wake_worker"], name);
        const told = await sql`select a.subject from ops.alerts as a where a.rule = 'scheduled_task'`;
        assert.deepEqual(told.map(({ subject }) => subject), ["wake_worker"], name);
        const [row] = await sql<{ missing: string[] }[]>`select core.missing_parts() as missing`;
        assert.ok(row?.missing.includes("functions_url"), `${name}: health says so, and works`);
      }
    });
  });
});
