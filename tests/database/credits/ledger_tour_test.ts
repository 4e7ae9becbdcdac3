import assert from "node:assert/strict";
import { withConnection } from "../../../local/postgres/database.ts";
import { cloneTemplate, testDatabase } from "../harness.ts";
import { freezeClock } from "../support/frozen-clock.ts";
import { createPayer, generateVideo } from "../support/videos.ts";
import { runTour } from "../support/tour.ts";

const docs = new URL("../../../docs/", import.meta.url);

Deno.test("the tour of the ledger prints what stands beside it", async () => {
  await using database = await testDatabase();
  const clock = await freezeClock(database);
  const text = await Deno.readTextFile(new URL("tours/ledger.sql", docs));
  const printed = await runTour(database.url, text, clock);
  const output = new URL("tours/ledger.out", docs);
  // `UPDATE_TOURS=1 deno task test tour` writes it anew, for git to show what changed.
  if (Deno.env.has("UPDATE_TOURS")) await Deno.writeTextFile(output, printed);
  assert.equal(printed, await Deno.readTextFile(output));
});

Deno.test("each query that ledger.md gives the operator runs, and answers for a user and a job", async () => {
  await using database = await cloneTemplate();
  await withConnection(database.url, async (sql) => {
    const user = await createPayer(sql);
    const { data } = await generateVideo(sql, user);
    const job = data?.job_id ?? assert.fail("the video was not accepted");
    await sql`select videos.settle_video_job(${job}, 'failed', 'ERR_5002')`;
    const paid = (await generateVideo(sql, user)).data?.job_id ?? assert.fail("the video was not accepted");
    await sql`update videos.jobs set status = 'processing' where id = ${paid}`;
    await sql`select videos.settle_video_job(${paid}, 'completed')`;

    const text = await Deno.readTextFile(new URL("ledger.md", docs));
    const queries = Array.from(text.matchAll(/^```sql\n(.*?)^```$/gms), ([, query = ""]) => query);
    const rows: Record<string, unknown>[][] = [];
    for (const query of queries) {
      const filled = query.replaceAll("<user id>", user).replaceAll("<job id>", job);
      rows.push((await sql.unsafe(filled)).map((row) => ({ ...row })));
    }
    const [balance, statement, ofJob, revenue, violations] = rows;
    assert.equal(rows.length, 5);
    assert.deepEqual(balance, [{ kind: "available", balance: "96" }]);
    assert.equal(statement?.length, 4);
    assert.deepEqual(ofJob?.map(({ kind, from_account, to_account }) => [kind, from_account, to_account]), [
      ["hold", "available", "escrow"],
      ["release", "escrow", "available"],
    ]);
    assert.deepEqual(revenue, [{ revenue: "4" }]);
    assert.deepEqual(violations, []);
  });
});
