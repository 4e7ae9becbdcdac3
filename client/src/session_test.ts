import assert from "node:assert/strict";
import { newApp, newSession, newStore, refusal } from "../testing/app.ts";
import { virtualTime } from "../testing/virtual-time.ts";

const newToken = () => Promise.resolve("AAAA");

/** What an app had kept when its session expired while it was away. */
function expired() {
  const storage = newStore();
  storage.setItem("session", JSON.stringify({ ...newSession("the guest"), expires_at: 1 }));
  return storage;
}

/** Whose request it is. */
function userOf(request: Request): string {
  const [, payload = ""] = request.headers.get("authorization")?.split(".") ?? [];
  return JSON.parse(atob(payload)).sub;
}

const failures: Record<string, () => Response | Promise<Response>> = {
  "no network": () => Promise.reject(new TypeError("No network")),
  "Auth is away": () => new Response("", { status: 503 }),
  "Auth has failed": () => Response.json({ code: "unexpected_failure" }, { status: 500 }),
  "too many refreshes": () => Response.json({ code: "over_request_rate_limit" }, { status: 429 }),
  "a sign-in page": () => new Response("<html>", { headers: { "content-type": "text/html" } }),
};

for (const [what, failure] of Object.entries(failures)) {
  Deno.test(`a guest whose session cannot be refreshed now is not signed in as another: ${what}`, async () => {
    using _ = virtualTime();
    let refreshes = 0;
    const kinora = newApp((path, request) => {
      assert(!path.startsWith("signup"), "signed in as another");
      if (path.startsWith("token")) {
        return ++refreshes < 4 ? failure() : Response.json(newSession("the guest"));
      }
      return Response.json({ user_id: userOf(request), models: [] });
    }, expired());
    const { user_id } = await kinora.start(newToken, { timeout: 600_000 });
    assert.deepEqual([user_id, refreshes], ["the guest", 4]);
    await kinora.models();
  });
}

Deno.test("a session that the backend refuses is refreshed once, and the call goes on", async () => {
  for (const isRefused of [false, true]) {
    let refreshes = 0;
    let calls = 0;
    const storage = newStore();
    storage.setItem("session", JSON.stringify(newSession("the guest")));
    const kinora = newApp((path) => {
      if (path.startsWith("token")) {
        refreshes++;
        return Response.json(newSession("the guest"));
      }
      return ++calls > 1 && !isRefused ? Response.json({ models: [] }) : refusal(401, "ERR_4005");
    }, storage);
    if (isRefused) await assert.rejects(kinora.models(), { code: "ERR_4005", action: "sign_in" });
    else await kinora.models();
    assert.deepEqual([refreshes, calls], [1, 2]);
  }
});

Deno.test("a call that another tab's refresh has overtaken takes that tab's session, and refreshes nothing", async () => {
  const storage = newStore();
  storage.setItem("session", JSON.stringify(newSession("the guest")));
  const fresh = newSession("the guest");
  const kinora = newApp((path, request) => {
    assert.equal(path, "models");
    if (request.headers.get("authorization") === `Bearer ${fresh.access_token}`) {
      return Response.json({ models: [] });
    }
    storage.setItem("session", JSON.stringify(fresh));
    return refusal(401, "ERR_4005");
  }, storage);
  await kinora.models();
});

Deno.test("a guest whose session is over is another guest at the next start, and nobody else is", async () => {
  for (const is_anonymous of [true, false]) {
    const storage = newStore();
    const { user, ...session } = newSession("somebody");
    storage.setItem("session", JSON.stringify({ ...session, user: { ...user, is_anonymous } }));
    let signUps = 0;
    const kinora = newApp((path, request) => {
      if (path.startsWith("token")) return refusal(400, "refresh_token_not_found");
      if (path.startsWith("logout")) return refusal(403, "session_not_found");
      if (path.startsWith("signup")) {
        signUps++;
        return Response.json(newSession("another"));
      }
      return userOf(request) === "somebody"
        ? refusal(401, "ERR_4005")
        : Response.json({ user_id: "another" });
    }, storage);
    const start = kinora.start(newToken);
    if (is_anonymous) assert.equal((await start).user_id, "another");
    else await assert.rejects(start, { code: "ERR_4005" });
    assert.equal(signUps, is_anonymous ? 1 : 0);
  }
});

Deno.test("starts at the same time are one, and one that was aborted takes none with it", async () => {
  let signUps = 0;
  let hang = true;
  const kinora = newApp((path) => {
    if (path.startsWith("signup")) {
      signUps++;
      return Response.json(newSession("the guest"));
    }
    if (hang) return new Promise(() => {});
    return Response.json({ user_id: "the guest" });
  });
  const first = new AbortController();
  const left = new Error("The screen is gone");
  const aborted = assert.rejects(kinora.start(newToken, { signal: first.signal }), left);
  const others = [kinora.start(newToken), kinora.start(newToken)];
  await new Promise((resolve) => setTimeout(resolve));
  hang = false;
  first.abort(left);
  await aborted;
  assert.deepEqual((await Promise.all(others)).map(({ user_id }) => user_id), ["the guest", "the guest"]);
  assert.equal(signUps, 1);
});

Deno.test("guests that are switched off are an error at once", async () => {
  const kinora = newApp(() =>
    Response.json({ code: "anonymous_provider_disabled", msg: "Off" }, { status: 422 })
  );
  await assert.rejects(kinora.start(newToken), { name: "KinoraError", status: 422, action: "stop" });
});

Deno.test("a device token is new for each try", async () => {
  using _ = virtualTime();
  const tokens: string[] = [];
  let tries = 0;
  const kinora = newApp(async (path, request) => {
    if (path.startsWith("signup")) return Response.json(newSession("the guest"));
    tokens.push((await request.json()).device_token);
    return ++tries < 3
      ? refusal(503, "ERR_6001", { retry_after: 2 })
      : Response.json({ user_id: "the guest" });
  });
  let made = 0;
  await kinora.start(() => Promise.resolve(`token ${++made}`));
  assert.deepEqual(tokens, ["token 1", "token 2", "token 3"]);
});

/** Signed in, on a device where others sign in, too. */
function signedIn(userId: string) {
  const storage = newStore();
  storage.setItem("session", JSON.stringify(newSession(userId)));
  return storage;
}

const lost = () => Promise.reject(new TypeError("No network"));

Deno.test("a call goes on as whoever made it, or not at all", async () => {
  using _ = virtualTime();
  for (const next of ["Bob", null]) {
    for (const failure of [lost, () => refusal(503, "ERR_6001", { retry_after: 2 })]) {
      const storage = signedIn("Ada");
      const users: string[] = [];
      const kinora = newApp((path, request) => {
        assert.equal(path, "user-profile");
        // What nobody sends is nobody's, and says that the session is over.
        if (!request.headers.has("authorization")) return refusal(401, "ERR_4005");
        users.push(userOf(request));
        if (next === null) storage.removeItem("session");
        else storage.setItem("session", JSON.stringify(newSession(next)));
        return failure();
      }, storage);
      const told = next === null ? { code: "ERR_4005" } : { code: null, action: "same_key_later" };
      await assert.rejects(kinora.account.close(), told);
      assert.deepEqual(users, ["Ada"]);
      assert.equal(storage.has("session"), next !== null, "whoever signed in stays so");
    }
  }
});

Deno.test("a call that is refused after another has signed in is not sent as theirs", async () => {
  const storage = signedIn("Ada");
  let calls = 0;
  const kinora = newApp(() => {
    calls++;
    storage.setItem("session", JSON.stringify(newSession("Bob")));
    return refusal(401, "ERR_4005");
  }, storage);
  await assert.rejects(kinora.account.update({ language: "tr" }), { code: null, action: "same_key_later" });
  assert.equal(calls, 1);
});

Deno.test("what nobody asked for is not asked for by whoever signs in, but for what all may see", async () => {
  using _ = virtualTime();
  const storage = newStore();
  let calls = 0;
  const kinora = newApp(() => {
    if (++calls > 1) return Response.json({ models: [], products: [] });
    storage.setItem("session", JSON.stringify(newSession("Bob")));
    return lost();
  }, storage);
  for (
    const [call, isPublic] of [
      [() => kinora.account.close(), false],
      [() => kinora.models(), true],
      [() => kinora.purchases.products(), true],
    ] as const
  ) {
    storage.clear();
    calls = 0;
    if (isPublic) await call();
    else await assert.rejects(call(), { code: null });
    assert.equal(calls, isPublic ? 2 : 1);
  }
});

Deno.test("a start ends in its time, with all its steps, and so does one that waits for it", async () => {
  using time = virtualTime();
  const slow = async (response: () => Response) => {
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    return response();
  };
  const kinora = newApp((path) => {
    if (path.startsWith("token")) return slow(() => refusal(400, "refresh_token_not_found"));
    if (path.startsWith("logout")) return new Response(null, { status: 204 });
    if (path.startsWith("signup")) return slow(() => Response.json(newSession("another")));
    return slow(() => refusal(401, "ERR_4005"));
  }, signedIn("the guest"));
  const first = assert.rejects(kinora.start(newToken, { timeout: 70_000 }), { code: null });
  const second = kinora.start(newToken, { timeout: 40_000 });
  await assert.rejects(second, { code: null });
  assert(time.now() <= 40_000, `${time.now()} ms`);
  await first;
  assert(time.now() <= 70_000, `${time.now()} ms`);
  assert.equal(await kinora.start(newToken, { timeout: 10 }).catch(({ name }) => name), "KinoraError");
});
