/** `deno task bench`: everything that is promised about speed, CPU time and bytes, in one run. */
import { readArguments, refuse, wholeNumber } from "../local/arguments.ts";
import { measureBundles } from "./bundles.ts";
import { measureCompletedVideo } from "./completed-video.ts";
import { measureEndpoints } from "./endpoints.ts";
import { measureEvents } from "./events.ts";
import { measureImages } from "./images.ts";
import { measureMemory } from "./memory.ts";
import { measureProcedures } from "./procedures.ts";
import { clearProgress, startProgress } from "./progress.ts";
import { measurePushes } from "./pushes.ts";
import { measureOverload, measureQueue } from "./queue.ts";
import { measureWebhooks } from "./webhooks.ts";
import { type Findings, markdown, print } from "./report.ts";

const page = new URL("../docs/benchmarks.md", import.meta.url);

const { values, positionals } = readArguments(
  `deno task bench [<part>…] [--seconds=<number>] [--repetitions=<number>] [--quick] …

Measures what is promised: ratios first, then the figures that they are made of. Without a part it takes the first
three, which are the promises, and writes docs/benchmarks.md.
  procedures           the procedures under load, beside a plain ledger and the seeds' way
  videos               CPU time and bytes of a completed video over the whole stack
  endpoints            over HTTP, beside the bare calls of the Data API; and without the database
  queue, overload      tasks a second, and how twice of what can be done is worked off
  memory               of the functions while they store large videos
  bundles              what an isolate loads before its first request
  events               from a provider's webhook to what an app hears
  pushes               pushes a second, to a simulated APNs
  webhooks             from an event to twenty other servers, one of them stalled
  images               CPU time of looking at a picture of 10 MB
  --seconds=<number>   of each row (3)
  --repetitions=<number>   of all rows, in turns (3)
  --jobs=<number>      of the history behind one row (120000); 1250000 take some minutes to make
  --before=<folder>    another checkout, whose holds run beside ours
  --pgledger=<folder>  a checkout of pgledger, whose transfer runs beside ours
  --quick              so short that the figures say nothing: whether it runs; writes nothing`,
  {
    allowPositionals: true,
    options: {
      seconds: { type: "string", default: "3" },
      repetitions: { type: "string", default: "3" },
      jobs: { type: "string", default: "120000" },
      before: { type: "string", default: "" },
      pgledger: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
    },
  },
);
const { quick, before, pgledger } = values;
const seconds = wholeNumber("seconds", values.seconds);
const repetitions = quick ? 1 : wholeNumber("repetitions", values.repetitions);
const jobs = quick ? 20 : wholeNumber("jobs", values.jobs);
const timing = quick
  ? { warmUpMilliseconds: 10, milliseconds: 50 }
  : { warmUpMilliseconds: 500, milliseconds: 1_000 * seconds };

interface Part {
  readonly measure: () => Promise<Findings>;
  /** About how long it takes, for the bar. */
  readonly seconds: number;
}

const rowSeconds = repetitions * (timing.warmUpMilliseconds + timing.milliseconds) / 1_000;
const parts: Readonly<Record<string, Part>> = {
  procedures: {
    seconds: 20 + jobs / 8_000 + 16 * rowSeconds,
    measure: () =>
      measureProcedures({ timing, repetitions, users: quick ? 20 : 10_000, jobs, before, pgledger }),
  },
  videos: {
    seconds: 60 + repetitions * (4 * seconds + 5),
    // A completed video is slower than a call: a row of it lasts longer.
    measure: () =>
      measureCompletedVideo({
        repetitions,
        ...quick
          ? { seconds: 1, warmUp: 1, accepted: 2 }
          : { seconds: 4 * seconds, warmUp: 40, accepted: 300 },
      }),
  },
  endpoints: {
    seconds: 40 + 12 * rowSeconds,
    measure: () => measureEndpoints({ timing, repetitions, calls: quick ? 5 : 1_000, onPlatform: !quick }),
  },
  queue: { seconds: 60, measure: measureQueue },
  overload: { seconds: 60, measure: () => measureOverload(20) },
  memory: { seconds: 120, measure: measureMemory },
  bundles: { seconds: 20, measure: measureBundles },
  events: { seconds: 60, measure: () => measureEvents(quick ? 2 : 200) },
  pushes: { seconds: 60, measure: () => measurePushes(quick ? 20 : 1_000) },
  webhooks: { seconds: 180, measure: () => measureWebhooks(quick ? 2 : 40) },
  images: { seconds: 10, measure: () => measureImages(quick ? 1 : 20) },
};
const promised = ["procedures", "videos", "endpoints"];

const chosen = positionals.length > 0 ? positionals : promised;
const unknown = chosen.find((name) => !Object.hasOwn(parts, name));
if (unknown !== undefined) {
  refuse(`There is no part ${unknown}. The parts are ${Object.keys(parts).join(", ")}.`);
}

startProgress(chosen.reduce((sum, name) => sum + (parts[name]?.seconds ?? 0), 0));
const found: Findings[] = [];
for (const name of chosen) {
  const part = parts[name];
  if (part !== undefined) found.push(await part.measure());
}
clearProgress();

const findings: Findings = {
  goals: found.flatMap(({ goals }) => goals),
  tables: found.flatMap(({ tables }) => tables),
  failed: found.flatMap(({ failed = [] }) => failed),
};
const machine = [
  Deno.hostname(),
  `${navigator.hardwareConcurrency} cores`,
  `${Math.round(Deno.systemMemoryInfo().total / 2 ** 30)} GiB`,
  Deno.build.target,
  ...found.flatMap(({ postgres = "" }) => postgres === "" ? [] : [`Postgres ${postgres}`]),
  `Deno ${Deno.version.deno}`,
].join(", ");
const how = quick ? "for a moment" : `${values.seconds} s a row, the median of ${values.repetitions} turns`;
print(findings);
console.log(`\n${machine}; ${how}.`);

for (const failure of findings.failed ?? []) console.error(failure);
if ((findings.failed ?? []).length > 0) {
  console.error("Rows with errors say nothing, so no page is written.");
  Deno.exit(1);
}
if (positionals.length === 0 && !quick) {
  const date = new Date().toISOString().slice(0, 10);
  await Deno.writeTextFile(
    page,
    `# Benchmarks

Written by \`deno task bench\` on ${date}; ${how}. What is compared ran in the same minutes on the same machine, which had
the load generator, the simulated providers and Postgres on the same cores: ratios say more than figures. Why a promise is not kept, and
what an accept and a completed video cost at least, is in [0037](decisions/0037-the-hot-path-is-counted-in-instructions.md),
[0038](decisions/0038-cpu-of-a-completed-video.md) and [0059](decisions/0059-what-an-accept-cannot-do-without.md).

${markdown(findings)}
Machine: ${machine}.
`,
  );
  console.log("docs/benchmarks.md is written.");
}
Deno.exit();
