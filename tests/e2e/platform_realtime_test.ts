/** Realtime on this machine, through supabase-js as apps have it, in both versions of its protocol. */
import assert from "node:assert/strict";
import { createClient, type RealtimeChannel, type SupabaseClient } from "@supabase/supabase-js";
import { decodeJwt, importJWK, SignJWT } from "jose";
import { shared } from "../shared.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { eventually } from "./eventually.ts";

const backend = shared(startBackend);

interface Heard {
  readonly channel: RealtimeChannel;
  /** What has come of the channel: its states, and the messages. */
  readonly states: string[];
  readonly messages: unknown[];
  /** Why it was refused, or ended. */
  readonly reasons: string[];
}

/** An app of this user, with this version of the protocol, whose connections end with the test. */
function appOf(guest: Pick<Guest, "token"> | null, vsn = "2.0.0") {
  const { url, publishableKey } = backend.stack;
  let token = guest?.token ?? null;
  const supabase = createClient(url, publishableKey, {
    accessToken: () => Promise.resolve(token),
    realtime: { vsn, disconnectOnEmptyChannelsAfterMs: 0 },
  });
  return {
    supabase,
    useToken(next: string) {
      token = next;
      return supabase.realtime.setAuth();
    },
    async [Symbol.asyncDispose]() {
      await supabase.removeAllChannels();
      await until("the connection is closed", () => !supabase.realtime.isConnected());
    },
  };
}

/** Joins a channel, and resolves when it is known whether it may. */
async function listen(
  supabase: SupabaseClient,
  topic: string,
  config: Record<string, unknown> = { private: true },
): Promise<Heard> {
  await supabase.realtime.setAuth();
  const channel = supabase.channel(topic, { config });
  const heard: Heard = { channel, states: [], messages: [], reasons: [] };
  channel.on("broadcast", { event: "*" }, ({ event, payload }) => heard.messages.push({ event, ...payload }));
  channel.on("system", {}, ({ message }) => heard.reasons.push(message));
  await new Promise<void>((resolve) => {
    channel.subscribe((state, error) => {
      heard.states.push(state);
      if (error !== undefined) heard.reasons.push(error.message);
      resolve();
    });
  });
  return heard;
}

/** Waits until it holds. */
const until = (what: string, holds: () => boolean) => eventually(what, () => holds() || undefined);

const topicOf = ({ id }: Pick<Guest, "id">) => `user:${id}`;

async function send(guest: Pick<Guest, "id">, payload: Record<string, unknown>, isPrivate = true) {
  await backend.database.sql`
    select realtime.send(${backend.database.sql.json(payload as never)}, 'video', ${
    topicOf(guest)
  }, ${isPrivate})`;
}

for (const vsn of ["1.0.0", "2.0.0"]) {
  Deno.test(`a user hears on their own channel what was committed, in its order (${vsn})`, async () => {
    const guest = await backend.signIn();
    await using app = appOf(guest, vsn);
    const { states, messages } = await listen(app.supabase, topicOf(guest));
    assert.deepEqual(states, ["SUBSCRIBED"]);

    await assert.rejects(
      backend.database.sql.begin(async (sql) => {
        await sql`select realtime.send('{"id":"undone"}', 'video', ${topicOf(guest)}, true)`;
        throw new Error("rolled back");
      }),
    );
    await backend.database.sql`
      select realtime.send(jsonb_build_object('id', n::text, 'text', 'İğne 😀'), 'video', ${
      topicOf(guest)
    }, true)
      from generate_series(1, 120) as n`;
    const expected = Array.from({ length: 120 }, (_, index) => ({
      event: "video",
      id: `${index + 1}`,
      text: "İğne 😀",
    }));
    await until("all is heard", () => messages.length === expected.length);
    assert.deepEqual(messages, expected);
  });

  Deno.test(`only the owner joins a channel, and only as a private one (${vsn})`, async () => {
    const [guest, other] = [await backend.signIn(), await backend.signIn()];
    await using app = appOf(guest, vsn);
    await using stranger = appOf(other, vsn);
    await using nobody = appOf(null, vsn);
    const refused = await Promise.all([
      listen(stranger.supabase, topicOf(guest)),
      listen(nobody.supabase, topicOf(guest)),
      listen(app.supabase, `${topicOf(guest)} `),
      listen(app.supabase, topicOf(guest).toUpperCase()),
      listen(app.supabase, "user:"),
      listen(app.supabase, "room"),
      listen(app.supabase, "user:%"),
      listen(app.supabase, topicOf(guest), {}),
      listen(stranger.supabase, `public ${topicOf(guest)}`, { private: false }),
    ]);
    for (const { states } of refused) assert.equal(states[0], "CHANNEL_ERROR");
    assert.match(refused[0].reasons[0] ?? "", /^Unauthorized: You do not have permissions to read/);
    assert.match(refused[7].reasons[0] ?? "", /^PrivateOnly: /);
    const own = await listen(app.supabase, topicOf(other));
    assert.equal(own.states[0], "CHANNEL_ERROR");

    await using second = appOf(guest, vsn);
    const { messages, states } = await listen(second.supabase, topicOf(guest));
    assert.deepEqual(states, ["SUBSCRIBED"]);
    await send(other, { id: "another's" });
    await send(guest, { id: "public" }, false);
    await send(guest, { id: "own" });
    await until("it is heard", () => messages.length > 0);
    assert.deepEqual(messages, [{ event: "video", id: "own" }]);
    for (const { messages } of refused) assert.deepEqual(messages, []);
  });

  Deno.test(`nobody sends, on a channel of their own or another's (${vsn})`, async () => {
    const guest = await backend.signIn();
    await using app = appOf(guest, vsn);
    await using second = appOf(guest, vsn);
    const sender = await listen(app.supabase, topicOf(guest), { private: true, broadcast: { self: true } });
    const { messages } = await listen(second.supabase, topicOf(guest));
    await sender.channel.send({ type: "broadcast", event: "video", payload: { id: "forged" } });
    const answer = await sender.channel.httpSend("video", { id: "forged" }).catch((error: Error) => error);
    assert(answer instanceof Error || !answer.success);
    await send(guest, { id: "true" });
    await until("it is heard", () => messages.length > 0 && sender.messages.length > 0);
    assert.deepEqual(messages, [{ event: "video", id: "true" }]);
    assert.deepEqual(sender.messages, messages);
    const [row] = await backend.database.sql`
      select count(*)::int as messages from realtime.messages as m where m.topic = ${topicOf(guest)}`;
    assert.equal(row?.messages, 1);
  });

  Deno.test(`who is suspended, closed, signed out or deleted joins no more (${vsn})`, async () => {
    const ends: [string, (guest: Guest) => Promise<unknown>][] = [
      ["suspended", ({ id }) => backend.database.sql`select ops.suspend(${id}, 'a test')`],
      ["closed", (guest) => guest.call("user-profile", { method: "DELETE" })],
      [
        "signed out",
        ({ id }) => backend.database.sql`delete from auth.sessions as s where s.user_id = ${id}`,
      ],
      ["deleted", ({ id }) => backend.database.sql`delete from auth.users as u where u.id = ${id}`],
    ];
    for (const [what, end] of ends) {
      const guest = await backend.signIn();
      await guest.call("user-profile");
      await using before = appOf(guest, vsn);
      const open = await listen(before.supabase, topicOf(guest));
      assert.equal(open.states[0], "SUBSCRIBED", what);
      await end(guest);
      await using after = appOf(guest, vsn);
      const { states, reasons } = await listen(after.supabase, topicOf(guest));
      assert.equal(states[0], "CHANNEL_ERROR", what);
      assert.match(reasons[0] ?? "", /^Unauthorized/, what);
      // An open channel is asked about at its next token.
      await before.useToken(await tokenOf(guest, inSeconds(3_600)));
      await until(`${what}: closed`, () => open.states.at(-1) === "CLOSED");
    }
  });
}

/** A token of the guest's session that ends at this Unix time, in seconds. */
async function tokenOf({ token }: Pick<Guest, "token">, exp: number): Promise<string> {
  const { signingKey } = backend.keys;
  return await new SignJWT({ ...decodeJwt(token), exp })
    .setProtectedHeader({ alg: "ES256", kid: signingKey.kid ?? "" })
    .sign(await importJWK(signingKey, "ES256"));
}

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

for (const vsn of ["1.0.0", "2.0.0"]) {
  Deno.test(`a channel goes on under a new token, and ends with the last one (${vsn})`, async () => {
    const guest = await backend.signIn();
    const [first, last] = [inSeconds(5), inSeconds(8)];
    await using app = appOf({ token: await tokenOf(guest, first) }, vsn);
    const { states, messages, reasons } = await listen(app.supabase, topicOf(guest));
    await app.useToken(await tokenOf(guest, last));
    await until("the first token has ended", () => Date.now() / 1000 > first + 0.5);
    await send(guest, { id: "after the first" });
    await until("it is heard", () => messages.length === 1);
    assert.deepEqual(states, ["SUBSCRIBED"]);
    await until("the last token ends it", () => states.at(-1) === "CLOSED");
    assert.deepEqual(reasons, ["Token has expired"]);
    assert(Date.now() / 1000 >= last);
  });

  Deno.test(`a token that is forged, has ended or is another's opens nothing, and closes what is open (${vsn})`, async () => {
    const [guest, other] = [await backend.signIn(), await backend.signIn()];
    const forged = `${guest.token.slice(0, -8)}AAAAAAAA`;
    const tokens: [string, RegExp][] = [
      [await tokenOf(guest, inSeconds(-1)), /^InvalidJWTToken: Token has expired$/],
      [forged, /^MalformedJWT: /],
      ["token", /^MalformedJWT: /],
      [other.token, /^Unauthorized: /],
    ];
    for (const [token, reason] of tokens) {
      await using late = appOf({ token }, vsn);
      const refused = await listen(late.supabase, topicOf(guest));
      assert.equal(refused.states[0], "CHANNEL_ERROR");
      assert.match(refused.reasons[0] ?? "", reason);

      await using app = appOf(guest, vsn);
      const open = await listen(app.supabase, topicOf(guest));
      assert.deepEqual(open.states, ["SUBSCRIBED"]);
      await app.useToken(token);
      await until("it is closed", () => open.states.at(-1) === "CLOSED");
      assert.match(open.reasons[0] ?? "", reason);
    }
  });

  Deno.test(`what this Realtime has not is refused, and not passed over (${vsn})`, async () => {
    const guest = await backend.signIn();
    await using app = appOf(guest, vsn);
    await app.supabase.realtime.setAuth();
    const wanted: [Record<string, unknown>, (channel: RealtimeChannel) => void][] = [
      [{}, (channel) => channel.on("postgres_changes", { event: "*", schema: "public" }, () => {})],
      [{}, (channel) => channel.on("presence", { event: "sync" }, () => {})],
      [{ broadcast: { replay: { since: 0 } } }, () => {}],
    ];
    for (const [config, want] of wanted) {
      const channel = app.supabase.channel(topicOf(guest), { config: { private: true, ...config } });
      want(channel);
      const { promise, resolve } = Promise.withResolvers<string | undefined>();
      channel.subscribe((_, error) => resolve(error?.message));
      assert.match(await promise ?? "", /^NotSupported: /);
      await app.supabase.removeChannel(channel);
    }
  });
}
