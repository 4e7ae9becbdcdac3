import assert from "node:assert/strict";
import { newApp, newSession, newStore, refusal } from "../testing/app.ts";
import { Intentions, newKey } from "./intentions.ts";

const request = { model_id: "model-1", prompt: "A fox" };
const accepted = { job_id: "job-1", status: "pending", credits_used: 4, credits_remaining: 6 };
const hour = 3_600_000;

function signedIn(userId: string) {
  const storage = newStore();
  storage.setItem("session", JSON.stringify(newSession(userId)));
  return storage;
}

Deno.test("an intention survives the app's end, and is sent with its key by the next", async () => {
  const [store, session] = [newStore(), signedIn("the guest")];
  const sent: (string | null)[] = [];
  const killed = newApp(
    (_, request) => {
      sent.push(request.headers.get("idempotency-key"));
      return new Promise(() => {});
    },
    session,
    { store },
  );
  const controller = new AbortController();
  const ending = assert.rejects(killed.generate(request, { signal: controller.signal }));
  await new Promise((resolve) => setTimeout(resolve));
  controller.abort();
  await ending;

  const next = newApp(
    (_, request) => {
      sent.push(request.headers.get("idempotency-key"));
      return Response.json(accepted, { status: 202 });
    },
    session,
    { store },
  );
  const [intention, ...others] = await next.intentions();
  assert(intention && others.length === 0);
  assert.deepEqual(intention.request, request);
  assert.deepEqual(await next.generate(intention), accepted);
  assert.equal(sent.length, 2);
  assert.equal(sent[0], sent[1]);
  assert.deepEqual(await next.intentions(), []);
  assert.equal(store.size, 0, "nothing is kept of what is done");
});

Deno.test("an intention is kept before it is sent, and until an answer says what became of it", async () => {
  const answers: [response: () => Response, isKept: boolean][] = [
    [() => Response.json(accepted), false],
    [() => refusal(402, "ERR_4001", { required: 4, available: 1 }), false],
    [() => refusal(422, "ERR_4003", { reason: "policy" }), false],
    [() => refusal(503, "ERR_6004", { feature: "video_generation", retry_after: 300 }), false],
    [() => refusal(429, "ERR_4004", { policy: "video_generation", retry_after: 1_800 }), true],
    [() => refusal(503, "ERR_6001", { retry_after: 2 }), true],
    [() => new Response("", { status: 546 }), true],
  ];
  for (const [response, isKept] of answers) {
    const store = newStore();
    const kinora = newApp(
      () => {
        assert.equal(store.size, 1, "it is kept before it is sent");
        return response();
      },
      signedIn("the guest"),
      { store },
    );
    await kinora.generate(request, { timeout: 1 }).catch(() => {});
    const kept = await kinora.intentions();
    assert.equal(kept.length, isKept ? 1 : 0, await response().text());
    if (kept[0]) await kinora.forget(kept[0]);
    assert.deepEqual(await kinora.intentions(), []);
  }
});

Deno.test("an intention is its user's, and is not sent by whoever comes after, or after its key is forgotten", async () => {
  const store = newStore();
  const intentions = new Intentions(store);
  const at = (age: number) => new Date(Date.now() - age).toISOString();
  await intentions.keep({ key: "another's", request, user_id: "another", made_at: at(0) });
  await intentions.keep({ key: "old", request, user_id: "the guest", made_at: at(23.1 * hour) });
  await intentions.keep({ key: "young", request, user_id: "the guest", made_at: at(22.9 * hour) });
  const keysOf = async (userId: string | null) => (await intentions.of(userId)).map(({ key }) => key);
  assert.deepEqual(await keysOf(null), []);
  assert.deepEqual(await keysOf("the guest"), ["young"]);
  assert.deepEqual(await keysOf("another"), ["another's"]);
});

Deno.test("intentions at the same time are all kept, and those of two tabs, which share a store", async () => {
  const store = newStore();
  // A store as AsyncStorage, each call of which takes a while.
  const slow = {
    getItem: async (key: string) => {
      await new Promise((resolve) => setTimeout(resolve));
      return store.getItem(key);
    },
    setItem: (key: string, value: string) => store.setItem(key, value),
    removeItem: (key: string) => store.removeItem(key),
  };
  const made_at = new Date().toISOString();
  const keep = (intentions: Intentions, key: string) =>
    intentions.keep({ key, request, user_id: null, made_at });
  const keys = ["a", "b", "c", "d"];
  const tab = new Intentions(slow);
  await Promise.all(keys.map((key) => keep(tab, key)));
  assert.deepEqual((await tab.of(null)).map(({ key }) => key), keys);

  const held = Object.getOwnPropertyDescriptor(navigator, "locks");
  let last: Promise<unknown> = Promise.resolve();
  const request_ = <T>(_: string, __: object, work: () => Promise<T>) => {
    const mine = last.then(work);
    last = mine;
    return mine;
  };
  Object.defineProperty(navigator, "locks", { value: { request: request_ }, configurable: true });
  try {
    store.clear();
    const tabs = [new Intentions(slow), new Intentions(slow)];
    await Promise.all(keys.flatMap((key) => tabs.map((tab, index) => keep(tab, `${key}${index}`))));
    assert.deepEqual((await tab.of(null)).length, keys.length * 2);
  } finally {
    if (held) Object.defineProperty(navigator, "locks", held);
    else Reflect.deleteProperty(navigator, "locks");
  }
});

Deno.test("what another wrote into the store's place is no intention, and does no harm", async () => {
  for (const text of ["", "{", "null", "7", '{"key":"x"}']) {
    const store = newStore();
    store.setItem("kinora.intentions", text);
    const intentions = new Intentions(store);
    assert.deepEqual(await intentions.of(null), [], text);
    await intentions.keep({ key: "k", request, user_id: null, made_at: new Date().toISOString() });
    assert.equal((await intentions.of(null)).length, 1);
  }
});

Deno.test("keys differ also where the runtime makes no UUIDs, as in React Native", () => {
  const { crypto } = globalThis;
  try {
    Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
    const keys = Array.from({ length: 10_000 }, newKey);
    assert.equal(new Set(keys).size, keys.length);
    for (const key of keys) assert.match(key, /^[\x21-\x7e]{16,100}$/);
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true });
  }
});

Deno.test("several videos are one intention, which is kept apart from those of one, and goes on under its key", async () => {
  const [store, session] = [newStore(), signedIn("the guest")];
  const several = { mode: "any" as const, items: [request, request] };
  const lost = newApp(() => Promise.reject(new TypeError("No network")), session, { store });
  await assert.rejects(lost.generateVideos(several, { timeout: 1 }), { code: null });
  const keys: (string | null)[] = [];
  const next = newApp(
    (path, { headers }) => {
      assert.equal(path, "generate-videos");
      keys.push(headers.get("idempotency-key"));
      return Response.json({ results: [], credits_used: 0, credits_remaining: 0 });
    },
    session,
    { store },
  );
  assert.deepEqual(await next.intentions(), []);
  const [intention, ...others] = await next.bulkIntentions();
  assert(intention && others.length === 0);
  assert.deepEqual(intention.request, several);
  await next.generateVideos(intention);
  assert.deepEqual(keys, [intention.key]);
  assert.deepEqual(await next.bulkIntentions(), []);
});

Deno.test("an intention is sent as its user's alone, and kept until they are back", async () => {
  const store = newStore();
  const storage = signedIn("Ada");
  const sent: string[] = [];
  let isLost = true;
  const kinora = newApp(
    (_, { headers }) => {
      sent.push(headers.get("idempotency-key") ?? "");
      if (!isLost) return Response.json(accepted, { status: 202 });
      storage.setItem("session", JSON.stringify(newSession("Bob")));
      return Promise.reject(new TypeError("No network"));
    },
    storage,
    { store },
  );
  await assert.rejects(kinora.generate(request, { timeout: 3_000 }), { code: null });
  assert.equal(sent.length, 1);
  assert.deepEqual(await kinora.intentions(), [], "Bob sees nothing of it");
  isLost = false;
  const [intention] = await new Intentions(store).of("Ada");
  assert(intention && "prompt" in intention.request);
  const early = kinora.generate({ ...intention, request: intention.request });
  await assert.rejects(early, { code: null, action: "same_key_later" });
  assert.equal(sent.length, 1);

  storage.setItem("session", JSON.stringify(newSession("Ada")));
  const [kept] = await kinora.intentions();
  assert(kept);
  assert.deepEqual(await kinora.generate(kept), accepted);
  assert.deepEqual(sent, [intention.key, intention.key]);
});

Deno.test("whoever signs in between a tap and its request does not pay for it", async () => {
  const storage = signedIn("Ada");
  const store = newStore();
  let sent = 0;
  const answer = () => {
    sent++;
    return Response.json(accepted, { status: 202 });
  };
  const kinora = newApp(answer, storage, {
    store: {
      ...store,
      getItem: store.getItem,
      setItem: (key, value) => {
        storage.setItem("session", JSON.stringify(newSession("Bob")));
        store.setItem(key, value);
      },
      removeItem: store.removeItem,
    },
  });
  await assert.rejects(kinora.generate(request), { code: null });
  assert.deepEqual([sent, (await new Intentions(store).of("Ada")).length], [0, 1]);
});

Deno.test("what a guest asked for goes on, under its key, as whom they became", async () => {
  const store = newStore();
  const lost = newApp(() => Promise.reject(new TypeError("No network")), signedIn("the guest"), { store });
  await assert.rejects(lost.generate(request, { timeout: 1 }), { code: null });
  const [intention] = await lost.intentions();
  assert(intention);
  const keys: (string | null)[] = [];
  const beside = newApp(
    (path, { headers }) => {
      if (path === "merge-guest") return Response.json({ user_id: "the heir", merged_user_id: "the guest" });
      keys.push(headers.get("idempotency-key"));
      return Response.json(accepted, { status: 202 });
    },
    signedIn("the heir"),
    { store },
  );
  await beside.account.merge("the guest's token");
  const [passed, ...others] = await beside.intentions();
  assert(passed && others.length === 0);
  assert.deepEqual(passed, { ...intention, user_id: "the heir" });
  assert.deepEqual(await beside.generate(passed), accepted);
  assert.deepEqual(keys, [intention.key]);
});
