/** Nobody uses up a day's cap of spending for strangers. */
import assert from "node:assert/strict";
import type { TestDatabase } from "../harness.ts";
import { stillDatabase } from "../support/frozen-clock.ts";
import { claimSubmission } from "../support/generation.ts";
import { cheapModel } from "../support/jobs.ts";
import { first, type Sql } from "../support/ledger.ts";
import { createPayer, generateVideo } from "../support/videos.ts";
import { endings, spent } from "../support/spending.ts";

/** What the attacker does with each job, and the most that may then count against strangers. */
const attacks: Record<
  string,
  [bound: number, attack: (sql: Sql, jobId: string, database: TestDatabase) => Promise<unknown>]
> = {
  "cancels each job before it begins": [
    0,
    endings["cancelled before it began, as the user asked"]?.[1] ?? assert.fail(),
  ],
  "has the provider refuse each prompt": [0, endings["refused when it was submitted"]?.[1] ?? assert.fail()],
  "has the provider fail with each prompt, perhaps with a bill": [
    30 * 120,
    endings["failed, perhaps with a bill"]?.[1] ?? assert.fail(),
  ],
  "has each answer lost": [30 * 120, endings["unknown, and ended by its deadline"]?.[1] ?? assert.fail()],
};

for (const [name, [bound, attack]] of Object.entries(attacks)) {
  Deno.test(`one account with 10 credits that ${name} does not use up a day's cap of 5,000 cents for strangers`, async () => {
    await using database = await stillDatabase();
    const { sql } = database;
    await sql`update videos.providers set daily_cap_cents = 5000`;
    // The dearest that 10 credits buy, at a cost above what they stand for; and a user who is as quick as may be.
    await sql`update videos.models set credits = 10 where id = ${cheapModel}`;
    await sql`update videos.model_providers set cost_cents = 120 where model_id = ${cheapModel}`;
    await sql`update guard.policies set max_hits = 300 where name in ('video_generation', 'generation_attempts_network')`;
    const attacker = await createPayer(sql, 10);
    let accepted = 0;
    for (let turn = 0; turn < 60; turn++) {
      const { data, details } = await generateVideo(sql, attacker);
      if (data === undefined) {
        assert.equal(details?.["policy"], "uncaptured_jobs");
        break;
      }
      accepted++;
      await attack(sql, data.job_id, database);
      assert.equal(
        (await first(sql`select status from videos.jobs where id = ${data.job_id}`))["status"] ===
          "completed",
        false,
      );
    }
    assert.equal(accepted, 30);
    const sum = (await spent(sql)).reduce((total, cents) => total + cents, 0);
    assert.equal(sum, bound);

    const stranger = await createPayer(sql, 10);
    const { data } = await generateVideo(sql, stranger);
    assert(data !== undefined, "a stranger's video is accepted");
    await sql`update videos.providers set breaker = 'closed', failures = 0`;
    assert.notEqual(await claimSubmission(sql, data.job_id), null, "a stranger's video is submitted");
  });
}
