/** The migrations on servers that have the files of pg_net and pg_cron, or stand-ins for them. */
import assert from "node:assert/strict";
import { createDatabase, withConnection } from "../../../local/database.ts";
import { migrate } from "../../../local/migrations.ts";
import { preparePlatform } from "../../../local/platform.ts";
import { owner } from "../../../local/platform-roles.ts";
import { startPostgres } from "../../../local/postgres.ts";

/** The server must be our own, since extensions are files beside it. */
Deno.env.delete("DATABASE_URL");

interface Extensions {
  /** SQL that each of them runs when it is made. */
  pg_net: string;
  pg_cron: string;
  /** Lines of their control files. */
  control: string;
}

/** Migrates a database on a server with these extensions, and gives its extensions with their schemas, and `also`. */
async function migrateWith({ control, ...scripts }: Extensions, also: string): Promise<unknown> {
  const dataDirectory = await Deno.makeTempDir();
  try {
    await using server = await startPostgres({ dataDirectory });
    for (const [name, script] of Object.entries(scripts)) {
      const files = `${dataDirectory}/binaries/share/postgresql/extension/${name}`;
      await Deno.writeTextFile(`${files}.control`, `default_version = '1.0'\n${control}\n`);
      await Deno.writeTextFile(`${files}--1.0.sql`, script);
    }
    await using database = await createDatabase(server.url());
    await preparePlatform(database.url);
    await migrate(database.url);
    return await withConnection(database.url, async (sql) => ({
      extensions: (await sql<{ line: string }[]>`
        select format('%s in %s', extname, extnamespace::regnamespace) as line from pg_extension
        where extname in ('pg_net', 'pg_cron') order by 1`).map(({ line }) => line),
      also: (await sql.unsafe(also)).map((row) => ({ ...row })),
    }));
  } finally {
    await Deno.remove(dataDirectory, { recursive: true });
  }
}

Deno.test("pg_net stands in the schema extensions, and pg_cron calls the tick as the owner", async () => {
  const made = await migrateWith({
    // The platform lets its owner make them.
    control: "trusted = true",
    pg_net: "create schema net;",
    pg_cron: `
      create schema cron;
      create table cron.job (name text, schedule text, command text, username text);
      create function cron.schedule(text, text, text) returns void language sql as
        'insert into cron.job values ($1, $2, $3, current_user)';
      grant usage on schema cron to public;
      grant insert on cron.job to public;
    `,
  }, "select schedule, command, username from cron.job");
  assert.deepEqual(made, {
    extensions: ["pg_cron in public", "pg_net in extensions"],
    also: [{ schedule: "5 seconds", command: "select core.tick()", username: owner }],
  });
});

Deno.test("extensions that are there and not preloaded, or the superuser's to make, do no harm", async () => {
  const notPreloaded = "do $$ begin raise exception 'it must be loaded by shared_preload_libraries'; end $$;";
  for (const control of ["trusted = true", "superuser = true"]) {
    const made = await migrateWith(
      { control, pg_net: notPreloaded, pg_cron: notPreloaded },
      "select count(*)::int as models from videos.models",
    );
    assert.deepEqual(made, { extensions: [], also: [{ models: 3 }] }, control);
  }
});
