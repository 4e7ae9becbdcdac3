import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { NeedsOperator } from "../queue/task.ts";
import { notificationPayload, testAppStore, transactionPayload } from "../testing/app-store/signed-data.ts";
import { testConfig } from "../testing/config.ts";
import { fakeDatabase, type FakeProcedures } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import type { AppStoreApi, AppStoreFailure } from "./app-store/server-api.ts";
import { purchaseTasks } from "./tasks.ts";

const store = await testAppStore();
const transactionId = "0190a000-0000-7000-8000-0000000000dd";
const common = { task_id: 7, attempt: 2, owner_id: null, payload: {} };
const attempt = { p_task_id: 7, p_attempt: 2 };

const body = {
  customerConsented: true,
  consumptionPercentage: 33_000,
  deliveryStatus: "DELIVERED",
  refundPreference: "GRANT_PRORATED",
  sampleContentProvided: true,
} as const;

/** Runs a task before an Apple and a database that answer so, and gives what they were asked, in turn. */
async function run(
  kind: "answer_consumption" | "read_notification_history",
  { api = {}, procedures = {}, isConfigured = true, signal = new AbortController().signal }: {
    api?: Partial<AppStoreApi> | null;
    procedures?: FakeProcedures;
    isConfigured?: boolean;
    signal?: AbortSignal;
  },
) {
  const { log, lines } = recordingLogger();
  const { database, calls } = fakeDatabase(procedures);
  const appStore = api && {
    transaction: () => Promise.reject(new Error("Nobody asks this")),
    requestTest: () => Promise.reject(new Error("Nobody asks this")),
    notificationHistory: () => Promise.reject(new Error("Nobody asks this")),
    sendConsumption: () => Promise.reject(new Error("Nobody asks this")),
    ...api,
  };
  const config = { ...testConfig(), appStore: isConfigured ? store.configuration : null };
  const handler = purchaseTasks[kind];
  assert(handler);
  const ports = { database, appStore, config, now: () => Date.parse("2026-11-20T13:00:00Z") };
  await handler({ ...common, kind, subject: transactionId }, ports, { log, signal });
  return { calls, lines };
}

const loaded = (state: string, told: object | null) => ({
  load_consumption: () => ({ state, transaction_id: "2000000900000001", environment: "sandbox", body: told }),
  finish_consumption: () => ({ finished: true }),
  retry_task: () => ({ state: "waiting" }),
});

Deno.test("a request for consumption is answered as the database says, and ended with what was told", async () => {
  const told: unknown[][] = [];
  const { calls } = await run("answer_consumption", {
    procedures: loaded("due", body),
    api: {
      sendConsumption: (...args) => {
        told.push(args);
        return Promise.resolve({ accepted: true });
      },
    },
  });
  assert.deepEqual(told, [["sandbox", "2000000900000001", body]]);
  assert.deepEqual(calls, [
    { name: "load_consumption", args: { p_transaction_id: transactionId } },
    { name: "finish_consumption", args: { ...attempt, p_transaction_id: transactionId, p_answer: body } },
  ]);
});

Deno.test("without consent, too late, or answered before, Apple is told nothing, and the task ends", async () => {
  for (const state of ["silent", "late", "answered"]) {
    const { calls, lines } = await run("answer_consumption", { procedures: loaded(state, null) });
    assert.deepEqual(calls.at(-1), {
      name: "finish_consumption",
      args: { ...attempt, p_transaction_id: transactionId },
    });
    assert.equal(lines.at(-1)?.level, state === "late" ? "warn" : "info", state);
  }
});

Deno.test("without a key for Apple's API a request cannot be answered, which the log says", async () => {
  const { calls, lines } = await run("answer_consumption", { api: null, procedures: loaded("due", body) });
  assert.equal(calls.at(-1)?.name, "finish_consumption");
  assert.equal(lines.at(-1)?.level, "warn");
});

Deno.test("an API that is away, or asks to wait, is asked again; one that refuses the request for good is not", async () => {
  const failures: [AppStoreFailure, string, number | undefined][] = [
    [{ failure: "unavailable", cause: "timed out" }, "retry_task", undefined],
    [{ failure: "rate_limited", cause: "429", retryAfter: 90 }, "retry_task", 90],
    [{ failure: "refused", cause: "400: 4000047" }, "finish_consumption", undefined],
    [{ failure: "not_found", cause: "404" }, "finish_consumption", undefined],
  ];
  for (const [failure, expected, wait] of failures) {
    const { calls } = await run("answer_consumption", {
      procedures: loaded("due", body),
      api: { sendConsumption: () => Promise.resolve(failure) },
    });
    const last = calls.at(-1);
    assert.equal(last?.name, expected, failure.failure);
    assert.equal(last?.args["p_after_seconds"], wait);
    assert.equal(last?.args["p_answer"], undefined, "what Apple did not take was not told");
  }
});

Deno.test("a key that Apple refuses is the operator's to mend", async () => {
  const unauthorized = () => Promise.resolve({ failure: "unauthorized", cause: "401" } as const);
  await assert.rejects(
    run("answer_consumption", { procedures: loaded("due", body), api: { sendConsumption: unauthorized } }),
    (error) => error instanceof NeedsOperator && error.alert.rule === "app_store_key_refused",
  );
});

/** Signed notifications, by their last digits. */
async function signed(...ids: string[]): Promise<string[]> {
  return await Promise.all(ids.map(async (id) =>
    await store.sign(notificationPayload({
      notificationUUID: `002e14d5-51f5-4503-b5a8-c3a1af68eb${id}`,
      data: { signedTransactionInfo: await store.sign(transactionPayload()) },
    }))
  ));
}

const history = {
  load_notification_history: () => ({
    read_from: "2026-11-20T11:00:00.000Z",
    read_until: "2026-11-20T13:00:00.000Z",
  }),
  record_notification_history: () => ({ missing: 1 }),
  finish_notification_history: () => ({ finished: true }),
  retry_task: () => ({ state: "waiting" }),
};

Deno.test("the history of both environments is read page by page, and known only when all of it is", async () => {
  const pages: Record<string, { signedPayloads: string[]; nextToken: string | null }[]> = {
    production: [
      { signedPayloads: await signed("01", "02"), nextToken: "more" },
      { signedPayloads: await signed("03"), nextToken: null },
    ],
    sandbox: [{ signedPayloads: [], nextToken: null }],
  };
  const asked: unknown[][] = [];
  const { calls } = await run("read_notification_history", {
    procedures: history,
    api: {
      notificationHistory: (environment, { from, to }, token) => {
        asked.push([environment, from.toISOString(), to.toISOString(), token]);
        return Promise.resolve(pages[environment]?.shift() ?? assert.fail());
      },
    },
  });
  const [from, to] = ["2026-11-20T11:00:00.000Z", "2026-11-20T13:00:00.000Z"];
  assert.deepEqual(asked, [
    ["production", from, to, null],
    ["production", from, to, "more"],
    ["sandbox", from, to, null],
  ]);
  const recorded = calls.filter(({ name }) => name === "record_notification_history").map(({ args }) => [
    args["p_environment"],
    (args["p_notifications"] as { notification_id: string }[]).map(({ notification_id }) =>
      notification_id.slice(-2)
    ),
    args["p_read_until"],
  ]);
  assert.deepEqual(recorded, [
    ["production", ["01", "02"], undefined],
    ["production", ["03"], to],
    ["sandbox", [], to],
  ]);
  assert.deepEqual(calls.at(-1), { name: "finish_notification_history", args: attempt });
});

Deno.test("what of the history Apple did not sign is left out, and said", async () => {
  const stranger = await testAppStore();
  const forged = await stranger.sign(notificationPayload());
  const { calls, lines } = await run("read_notification_history", {
    procedures: history,
    api: {
      notificationHistory: async () => ({ signedPayloads: [forged, ...await signed("04")], nextToken: null }),
    },
  });
  const [first] = calls.filter(({ name }) => name === "record_notification_history");
  assert.equal((first?.args["p_notifications"] as unknown[]).length, 1);
  assert(lines.some(({ event, level }) => event === "store_notification_refused" && level === "warn"));
});

Deno.test("a history that cannot be read to its end stays unknown, and is read again", async () => {
  for (const failure of ["unavailable", "rate_limited"] as const) {
    let pages = 0;
    const { calls } = await run("read_notification_history", {
      procedures: history,
      api: {
        notificationHistory: async () => {
          pages += 1;
          return pages === 1
            ? { signedPayloads: await signed("05"), nextToken: "more" }
            : { failure, cause: "away", retryAfter: 30 };
        },
      },
    });
    assert(calls.every(({ args }) => args["p_read_until"] === undefined));
    assert.deepEqual(calls.at(-1)?.name, "retry_task");
    assert.equal(calls.at(-1)?.args["p_after_seconds"], 30);
  }
});

Deno.test("an attempt that has lost its task reads no further page, and ends nothing", async () => {
  const abort = new AbortController();
  let pages = 0;
  const { calls } = await run("read_notification_history", {
    procedures: history,
    signal: abort.signal,
    api: {
      notificationHistory: () => {
        pages += 1;
        abort.abort();
        return Promise.resolve({ signedPayloads: [], nextToken: "more" });
      },
    },
  });
  assert.equal(pages, 1);
  assert(!calls.some(({ name }) => name === "finish_notification_history"));
});

Deno.test("a long gap is read in slices, each known by itself, and twice as long as long as one page is enough", async () => {
  const abort = new AbortController();
  const asked: string[] = [];
  const at = (hours: number) => new Date(Date.UTC(2026, 10, 18, hours)).toISOString();
  const { calls } = await run("read_notification_history", {
    procedures: {
      ...history,
      load_notification_history: () => ({ read_from: at(0), read_until: at(66) }),
    },
    signal: abort.signal,
    api: {
      notificationHistory: (environment, { from, to }, token) => {
        asked.push(`${environment} ${from.toISOString()} ${to.toISOString()}`);
        if (environment === "sandbox") abort.abort();
        const hasMore = environment === "sandbox" || from.toISOString() === at(18) && token === null;
        return Promise.resolve({ signedPayloads: [], nextToken: hasMore ? "more" : null });
      },
    },
  });
  // The third has two pages.
  const slices = [[0, 6], [6, 18], [18, 42], [18, 42], [42, 48], [48, 60], [60, 66]] as const;
  assert.deepEqual(asked, [
    ...slices.map(([from, to]) => `production ${at(from)} ${at(to)}`),
    `sandbox ${at(0)} ${at(6)}`,
  ]);
  const known = calls.filter(({ name }) => name === "record_notification_history").map(({ args }) =>
    args["p_read_until"]
  );
  assert.deepEqual(known, [6, 18, undefined, 42, 48, 60, 66, undefined].map((hours) => hours && at(hours)));
});

Deno.test("an environment that does not answer keeps nobody from the other, and the task comes back", async () => {
  for (const failing of ["production", "sandbox"]) {
    const { calls } = await run("read_notification_history", {
      procedures: history,
      api: {
        notificationHistory: (environment) =>
          Promise.resolve(
            environment === failing
              ? { failure: "unavailable", cause: "away" } as const
              : { signedPayloads: [], nextToken: null },
          ),
      },
    });
    const recorded = calls.filter(({ name }) => name === "record_notification_history");
    assert.deepEqual(recorded.map(({ args }) => args["p_environment"] === failing), [false]);
    assert.equal(calls.at(-1)?.name, "retry_task");
  }
});

Deno.test("before an app's first release Apple takes its key in the sandbox alone, which is no fault of the key", async () => {
  const unauthorized = { failure: "unauthorized", cause: "401" } as const;
  const { calls, lines } = await run("read_notification_history", {
    procedures: history,
    api: {
      notificationHistory: (environment) =>
        Promise.resolve(
          environment === "production" ? unauthorized : { signedPayloads: [], nextToken: null },
        ),
    },
  });
  assert.equal(calls.at(-1)?.name, "finish_notification_history");
  assert(lines.some(({ event }) => event === "notification_history_unread"));
  assert.deepEqual(
    calls.filter(({ args }) => "p_read_until" in args).map(({ args }) => args["p_environment"]),
    ["sandbox"],
    "production's stays unknown",
  );
  await assert.rejects(
    run("read_notification_history", {
      procedures: history,
      api: { notificationHistory: () => Promise.resolve(unauthorized) },
    }),
    (error) => error instanceof NeedsOperator && error.alert.rule === "app_store_key_refused",
  );
});

Deno.test("without a key, or an app, there is no history to read, and the task ends", async () => {
  for (const given of [{ api: null }, { isConfigured: false }]) {
    const { calls } = await run("read_notification_history", { procedures: history, ...given });
    assert.deepEqual(calls.map(({ name }) => name), ["finish_notification_history"]);
  }
});

Deno.test("a database that is away for the end is asked again: Apple is not told twice for it", async () => {
  let told = 0;
  let away = 1;
  await run("answer_consumption", {
    procedures: {
      ...loaded("due", body),
      finish_consumption: () => {
        if (away-- > 0) throw new AppError("ERR_6001");
        return { finished: true };
      },
    },
    api: {
      sendConsumption: () => {
        told += 1;
        return Promise.resolve({ accepted: true });
      },
    },
  });
  assert.equal(told, 1);
});
