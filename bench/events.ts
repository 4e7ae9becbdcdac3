/** How long after a provider's webhook its user hears of the video, over Realtime, as an app listens. */
import { createClient } from "@supabase/supabase-js";
import { withConnection } from "../local/postgres/database.ts";
import { startStack } from "../local/stack.ts";
import { modelId, widenPolicies } from "./database.ts";
import { showProgress } from "./progress.ts";
import type { Findings } from "./report.ts";

/** Milliseconds between two requests: as far apart as those of five a second. */
const pause = 200;
/** After which a video that nobody was told of is missing. */
const patience = 60_000;

/** Has so many videos made, and tells how long each was on its way from the webhook to its user. */
export async function measureEvents(videos: number): Promise<Findings> {
  await using stack = await startStack();
  const client = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  const { data } = await client.auth.signInAnonymously();
  const userId = data.user?.id ?? "";
  /** By job, in milliseconds since 1970: when its webhook was sent, and when its end was heard. */
  const sentAt = new Map<string, number>();
  const heardAt = new Map<string, number>();
  await withConnection(stack.databaseUrl, async (sql) => {
    await widenPolicies(sql, "network");
    await sql`select accounts.admit(${userId})`;
    await sql`select credits.add_credits(${userId}, 1000000, 'for a bench')`;

    await client.realtime.setAuth();
    const channel = client.channel(`user:${userId}`, { config: { private: true } });
    channel.on("broadcast", { event: "video" }, ({ payload }) => {
      if (payload.action === "completed") heardAt.set(payload.data.job_id, Date.now());
    });
    await new Promise<void>((resolve, reject) => {
      channel.subscribe((state, error) =>
        state === "SUBSCRIBED" ? resolve() : reject(error ?? new Error(state))
      );
    });

    for (let video = 0; video < videos; video += 1) {
      showProgress(`events, ${video} of ${videos} videos`);
      const { error } = await client.functions.invoke("generate-video", {
        body: { model_id: modelId, prompt: "A cat walks through the city at night" },
        headers: { "Idempotency-Key": crypto.randomUUID() },
      });
      if (error !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    for (const end = Date.now() + patience; heardAt.size < videos;) {
      if (Date.now() > end) throw new Error(`Of ${videos} videos ${heardAt.size} were told`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { deliveries } = await stack.simulators.fal.control.report();
    const submissions = await sql<{ job_id: string; request_id: string }[]>`
      select s.job_id, s.request_id from videos.submissions as s`;
    const jobs = new Map(submissions.map(({ job_id, request_id }) => [request_id, job_id]));
    for (const { requestId, dueAt } of deliveries) sentAt.set(jobs.get(requestId) ?? "", dueAt);
    await client.removeAllChannels();
  });
  const taken = [...heardAt].map(([job, at]) => at - (sentAt.get(job) ?? NaN)).sort((a, b) => a - b);
  const at = (part: number) => `${Math.round(taken[Math.floor(part * (taken.length - 1))] ?? NaN)}`;
  return {
    goals: [],
    tables: [{
      title: "From the provider's webhook, over the stored file, to the message that an app hears",
      header: ["", "videos", "median ms", "p95 ms", "slowest ms"],
      rows: [["video.completed", `${videos}`, at(0.5), at(0.95), at(1)]],
    }],
  };
}
