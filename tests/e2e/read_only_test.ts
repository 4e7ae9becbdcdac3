/** A database that answers and takes no writes, as the platform makes it when its disk is nearly full. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { AcceptedVideo } from "../../supabase/functions/_shared/videos/contract.ts";
import { asSuperuser } from "../database/harness.ts";
import { eventually } from "./eventually.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { startBackend } from "./support/backend.ts";
import { kling } from "./support/videos.ts";

Deno.test("a database that takes no writes is ERR_6001 and unhealthy; what was being recorded is recorded afterwards", async () => {
  await using backend = await startBackend();
  const { stack, database } = backend;
  const superuser = postgres(asSuperuser(database.url), { max: 1, onnotice: () => {} });
  const name = new URL(database.url).pathname.slice(1);
  const setReadOnly = async (value: "on" | "off") => {
    await superuser.unsafe(`alter database ${name} set default_transaction_read_only = ${value}`);
    // Whoever is connected keeps what was so before.
    await superuser`
      select pg_terminate_backend(s.pid) from pg_stat_activity as s
      where s.datname = ${name} and s.pid <> pg_backend_pid()`;
  };
  try {
    await superuser`set default_transaction_read_only = off`;
    const guest = await backend.signIn(100);
    const generate = (prompt: string) =>
      guest.call("generate-video", { body: { model_id: kling, prompt }, key: prompt.replaceAll(" ", "-") });
    // fal takes it while nothing can be recorded, and says so a second later.
    await stack.simulators.fal.control.rules({
      prompt: "Taken meanwhile",
      submit: "slow",
      submitMilliseconds: 1_000,
    });
    const taken = bodyOf(await generate("Taken meanwhile"), 202, AcceptedVideo);
    await eventually("its request is on its way", async () => {
      const [row] = await superuser`select from videos.submissions where job_id = ${taken.job_id}`;
      return row !== undefined || undefined;
    });

    await setReadOnly("on");
    errorOf(await generate("Refused meanwhile"), "ERR_6001");
    for (
      const [path, options] of [
        ["credits", {}],
        ["user-profile", { method: "PATCH", body: { language: "tr" } }],
        ["cancel-video", { body: { job_id: taken.job_id } }],
      ] as const
    ) errorOf(await guest.call(path, options), "ERR_6001");
    const health = await backend.call("health");
    assert.deepEqual([health.status, health.body], [503, { status: "unhealthy" }]);
    await eventually("fal has it", async () => {
      const { jobs } = await stack.simulators.fal.control.report();
      return jobs.length > 0 || undefined;
    });

    await setReadOnly("off");
    await eventually("what fal said is recorded", async () => {
      const [row] = await superuser<{ state: string }[]>`
        select state from videos.submissions where job_id = ${taken.job_id}`;
      return row !== undefined && ["accepted", "ended"].includes(row.state) || undefined;
    });
    bodyOf(await generate("Refused meanwhile"), 202, AcceptedVideo);
    await eventually(
      "it is healthy again",
      async () => (await backend.call("health")).status === 200 || undefined,
    );
    const [{ jobs } = { jobs: 0 }] = await superuser<{ jobs: number }[]>`
      select count(*)::int as jobs from videos.jobs where user_id = ${guest.id}`;
    assert.equal(jobs, 2);
  } finally {
    await superuser.end({ timeout: 1 });
  }
});
