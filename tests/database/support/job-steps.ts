/** What may happen to jobs, a step at a time, in no order. What a provider says is drawn, so it may contradict itself. */
import fc from "fast-check";

/** What a submission is answered, as the provider port names it. */
const outcome = fc.oneof(
  { weight: 5, arbitrary: fc.constant("accepted" as const) },
  { weight: 3, arbitrary: fc.constantFrom("refused" as const, "not_accepted" as const, "unknown" as const) },
);
/** What a webhook or the answer to a poll says. */
const word = fc.oneof(
  { weight: 5, arbitrary: fc.constant("succeeded" as const) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      ...["queued", "running", "failed", "cancelled", "not_found", "unreachable"] as const,
    ),
  },
);
const cancellation = fc.constantFrom(
  ...["cancelled", "requested", "too_late", "not_found", "no_request_id"] as const,
);
/** A worker that was given up, and comes back. */
const again = fc.constantFrom(false, false, false, true);
/** Which of those there are, counted round. */
const which = fc.nat({ max: 3 });

/** Long enough for a first try again, for each of the leases, and for half a bound of a job. */
const pauses = [3, 3, 61, 181, 450];

const jobStep = fc.oneof(
  // The same key again is the same job.
  { weight: 2, arbitrary: fc.record({ type: fc.constant("accept" as const), key: fc.nat({ max: 3 }) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("claim" as const), which }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("answer" as const), which, outcome, again }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("webhook" as const),
      which,
      word,
      // Of few, so that they come again; the second id is none that the provider ever gave us.
      event: fc.nat({ max: 2 }),
      names: fc.constantFrom(0, 0, 0, 0, 1),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("take" as const), limit: fc.constantFrom(1, 10) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("work" as const),
      which,
      word,
      cancellation,
      storing: fc.constantFrom("stored", "stored", "unusable", "failed" as const),
      again,
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cancel" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant("pass" as const), seconds: fc.constantFrom(...pauses) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("tick" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("crash" as const) }) },
);
/** So seldom that about half of the scripts close the account, some of them twice. */
const step = fc.oneof(
  { weight: 99, arbitrary: jobStep },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("close" as const) }) },
);
export type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Steps that begin together, in as many connections; then the next ones. */
export const script = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), {
  // Of fewer steps nothing comes of a job.
  minLength: 12,
  maxLength: 40,
  size: "max",
});

/** What the worker does that is left at the end of a script: "dies" with every task that it has claimed. */
export const lastWorker = fc.constantFrom("stored", "stored", "unusable", "failed", "dies" as const);
export type LastWorker = typeof lastWorker extends fc.Arbitrary<infer Value> ? Value : never;
