import { createBackgroundWork } from "../endpoint/background-work.ts";
import type { Config } from "../platform/config.ts";
import type { Auth, CallerOf, Context, Keyed } from "../endpoint/context.ts";
import { isLanguage, pickLanguage } from "../errors/languages.ts";
import { type SettableClock, settableClock } from "./clock.ts";
import { testConfig } from "./config.ts";
import { type LogLine, recordingLogger } from "./log.ts";
import { sessionId, userId } from "./tokens.ts";

const callers: CallerOf = {
  user: { kind: "user", userId, sessionId, isAnonymous: true, assuranceLevel: "aal1" },
  admin: { kind: "user", userId, sessionId, isAnonymous: false, assuranceLevel: "aal2" },
  service: { kind: "service", keyName: "default" },
  worker: { kind: "service", keyName: "worker" },
  metrics: { kind: "service", keyName: "metrics" },
  signed: { kind: "unknown" },
  public: { kind: "unknown" },
};

/** What a test can read and move beside the context that the service sees. */
export interface TestContext {
  readonly clock: SettableClock;
  readonly lines: readonly LogLine[];
  /** Begins the work that was given to `waitUntil`, as the answer does, and resolves when it is done. */
  settled(): Promise<void>;
}

/**
 * A service's context for its tests, with fakes for its ports:
 *
 *     const { database, calls } = fakeDatabase({ generate_video: () => … });
 *     const context = testContext("user", { database });
 *     await generateVideo(input, context);
 *
 * What is given replaces the defaults; so a test sets `caller`, `language` or `config` where they matter.
 */
export function testContext<A extends Auth, Given extends object>(
  auth: A,
  given: Given,
): Omit<Context<A> & Keyed & TestContext, keyof Given> & Given {
  const clock = settableClock();
  const { log, lines } = recordingLogger(clock.now);
  const background = createBackgroundWork();
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const config: Config = testConfig();
  const context: Context<A> & Keyed & TestContext = {
    caller: callers[auth],
    network: "192.0.2.1",
    requestId: "test-request",
    language: null,
    answerLanguage: () =>
      pickLanguage("language" in given && isLanguage(given.language) ? given.language : null, null),
    config,
    log,
    now: clock.now,
    waitUntil: (work) => background.run(answered.then(work), log),
    idempotency: { key: "test-key", fingerprint: "0".repeat(64), isReplay: () => false },
    clock,
    lines,
    settled: () => {
      answer();
      return background.settled();
    },
  };
  return { ...context, ...given };
}
