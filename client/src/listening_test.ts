import assert from "node:assert/strict";
import { createClient } from "@supabase/supabase-js";
import { newSession, newStore } from "../testing/app.ts";
import { virtualTime } from "../testing/virtual-time.ts";
import { Kinora, type News } from "./kinora.ts";
import type { Supabase } from "./session.ts";

const job = {
  job_id: "job-1",
  status: "processing",
  video_url: null,
  next_poll_seconds: 5,
};
const ended = { ...job, status: "completed", next_poll_seconds: null };
const news = (jobId: string): News => ({
  id: "event-1",
  type: "video",
  action: "completed",
  data: { job_id: jobId },
  timestamp: "2026-11-21T12:00:00.000Z",
});

/** A signed-in app that is told what the test tells; `answer` is that of video-status. */
function toldApp(
  answer: () => unknown,
): { kinora: Kinora; tell: (news: News) => void } {
  const storage = newStore();
  storage.setItem("session", JSON.stringify(newSession()));
  const { auth, functions } = createClient(
    "https://project.example",
    "sb_publishable_test",
    {
      auth: {
        storage,
        storageKey: "session",
        autoRefreshToken: false,
        persistSession: true,
      },
      global: { fetch: () => Promise.resolve(Response.json(answer())) },
      realtime: { transport: class {} as unknown as typeof WebSocket },
    },
  );
  let hear: (message: { payload: News }) => void = () => {};
  const channel = {
    topic: "realtime:user",
    on: (_type: string, _filter: unknown, listener: typeof hear) => hear = listener,
    subscribe: (change: (state: string) => void) =>
      void Promise.resolve("SUBSCRIBED").then(change).catch(() => {}),
  };
  const supabase = {
    auth,
    functions,
    realtime: {
      setAuth: () => Promise.resolve(),
      disconnect: () => Promise.resolve(),
    },
    channel: () => channel,
    getChannels: () => [],
    removeChannel: () => Promise.resolve("ok"),
  } as unknown as Supabase;
  return {
    kinora: new Kinora(supabase),
    tell(payload) {
      try {
        hear({ payload });
      } catch {
        // As supabase-js would have it.
      }
    },
  };
}

Deno.test("a hearer that throws keeps no other from the news", async () => {
  using time = virtualTime();
  let isOver = false;
  const { kinora, tell } = toldApp(() => isOver ? ended : job);
  const stop = kinora.listen(() => {
    throw new Error("The app's own mistake");
  });
  setTimeout(() => tell(news("another")), 1_000);
  setTimeout(() => {
    isOver = true;
    tell(news("job-1"));
  }, 7_000);
  const shown: [string, number][] = [];
  for await (const { status } of kinora.watch("job-1")) {
    shown.push([status, Math.floor(time.now() / 1000)]);
  }
  stop();
  assert.deepEqual(shown, [["processing", 0], ["completed", 7]]);
});

Deno.test("a watcher that is told finds an end whose news was lost before its time is over", async () => {
  using time = virtualTime();
  let isOver = false;
  const { kinora, tell } = toldApp(() => isOver ? ended : job);
  setTimeout(() => tell(news("job-1")), 1_000);
  setTimeout(() => isOver = true, 8_000);
  const shown: string[] = [];
  for await (const { status } of kinora.watch("job-1", { timeout: 20_000 })) {
    shown.push(status);
  }
  assert.deepEqual(shown, ["processing", "completed"]);
  assert(time.now() <= 15_000);
});
