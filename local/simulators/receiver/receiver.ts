/**
 * Servers that are told what happens, each under a path of its own. A message is taken with 200, but for what the rules say;
 * README.md tells them. It verifies nothing: whoever has the secret does.
 */
import * as z from "zod";
import { takeRule, times } from "../engine/control.ts";
import { hangUp } from "../engine/loopback-server.ts";
import { keepRequest } from "../engine/request-log.ts";
import { type Simulator, startSimulator } from "../engine/simulator.ts";

const common = { path: z.string().optional(), times };

const receiverRule = z.discriminatedUnion("effect", [
  z.strictObject({
    effect: z.literal("answer"),
    ...common,
    status: z.int().default(200),
    headers: z.record(z.string(), z.string()).default({}),
    body: z.string().default(""),
  }),
  /** 302 to `location`. */
  z.strictObject({ effect: z.literal("redirect"), ...common, location: z.string() }),
  /** So many bytes, as a Content-Length tells or, without it, in chunks that go on. */
  z.strictObject({ effect: z.literal("huge"), ...common, bytes: z.int(), tells: z.boolean().default(true) }),
  /** An answer whose body comes by a byte now and then, for ever. */
  z.strictObject({ effect: z.literal("slow"), ...common, status: z.int().default(200) }),
  /** Nothing is answered before so many milliseconds, which may be let pass. */
  z.strictObject({ effect: z.literal("stalled"), ...common, milliseconds: z.int().default(60_000) }),
  /** The message is taken, and the connection closes without an answer. */
  z.strictObject({ effect: z.literal("lost"), ...common }),
]);
export type ReceiverRule = z.input<typeof receiverRule>;

const receivedMessage = z.object({
  path: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});
export type ReceivedMessage = z.infer<typeof receivedMessage>;

const receiverReport = z.object({
  /** Since the start or the last reset, the newest 1,000. */
  requests: z.array(receivedMessage),
  rules: z.array(receiverRule),
});

export type Receiver = Simulator<ReceiverRule, z.infer<typeof receiverReport>>;

/** Starts it, on a free port without one. `heard` is told of every message before it is answered. */
export async function startReceiver(
  { port, heard = () => {} }: {
    readonly port?: number;
    readonly heard?: (message: ReceivedMessage) => void;
  } = {},
): Promise<Receiver> {
  const rules: z.output<typeof receiverRule>[] = [];
  const log: ReceivedMessage[] = [];
  return await startSimulator({
    ...{ port, rule: receiverRule, rules, log, report: receiverReport },
    async answer(request, pause) {
      const path = new URL(request.url).pathname;
      const headers = Object.fromEntries(request.headers);
      const message = { path, at: Date.now(), headers, body: await request.text() };
      keepRequest(log, message);
      heard(message);
      const rule = takeRule(rules, (each) => each.path === undefined || each.path === path);
      switch (rule?.effect) {
        case "answer":
          return new Response([204, 304].includes(rule.status) ? null : rule.body, rule);
        case "redirect":
          return new Response(null, { status: 302, headers: { location: rule.location } });
        case "huge":
          return new Response(pieces(new Uint8Array(64 * 1024), 0, rule.bytes), {
            headers: rule.tells ? { "content-length": String(rule.bytes) } : {},
          });
        case "slow":
          return new Response(pieces(new TextEncoder().encode("."), 500, Infinity), { status: rule.status });
        case "stalled":
          await pause(rule.milliseconds);
          return new Response("ok");
        case "lost":
          return hangUp;
        default:
          return new Response("ok");
      }
    },
  });
}

/** A body of so many bytes, a piece at a time, as long as somebody reads it. */
function pieces(piece: Uint8Array, everyMilliseconds: number, bytes: number): ReadableStream<Uint8Array> {
  let left = bytes;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(piece.subarray(0, left));
      left -= piece.length;
      return new Promise((resolve) => timer = setTimeout(resolve, everyMilliseconds));
    },
    cancel: () => clearTimeout(timer),
  });
}
