/** Metrics from what happens to what an operator's tools read: what was counted, promtool's word on it, and a real Prometheus. */
import assert from "node:assert/strict";
import * as z from "zod";
import { eventually } from "./eventually.ts";
import { type Backend, startBackend } from "./support/backend.ts";
import { shared } from "../shared.ts";
import { ended, generate, priceOfKling } from "./support/videos.ts";

const backend = shared(() => startBackend({ environment: { METRICS_INTERVAL_SECONDS: "0" } }));

async function scrape({ call, keys }: Backend): Promise<string> {
  const { status, body } = await call("metrics", {
    headers: { authorization: `Bearer ${keys.metricsToken}` },
  });
  assert.equal(status, 200, JSON.stringify(body));
  return String(body);
}

/** Each sample of a metric: its labels, in the order of their names, and its value. */
function samplesOf(text: string, name: string): [string, number][] {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.map((line) => {
    const [, labels = "", value] = /^\w+(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return [labels.split(",").sort().join(","), Number(value)];
  });
}

const requestLine = z.looseObject({
  event: z.literal("request"),
  endpoint: z.string(),
  status: z.int(),
  code: z.optional(z.string()),
  data_api_calls: z.int(),
});

/** What the log says of the requests that were answered. */
async function requestsInLog(): Promise<z.infer<typeof requestLine>[]> {
  const log = await Deno.readTextFile(backend.stack.logs.functions);
  return log.split("\n").filter((line) => line.includes('"event":"request"')).map((line) =>
    requestLine.parse(JSON.parse(line))
  );
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Record<string, number> {
  const groups = [...Map.groupBy(items, key)].map(([name, group]) => [name, group.length] as const);
  return Object.fromEntries(groups.sort(([one], [other]) => one < other ? -1 : 1));
}

/** Does of everything a little, and waits until all of it has been told and folded. */
async function lifeInTheBackend(): Promise<void> {
  const guest = await backend.signIn(2 * priceOfKling);
  for (let times = 0; times < 3; times += 1) await guest.call("models");
  await guest.call("credits");
  await guest.call("video-status?job_id=nonsense");
  await backend.call("credits");
  await backend.call("credits/more");
  const { job_id } = await generate(guest);
  await ended(backend, guest, job_id);
}

async function fold(): Promise<void> {
  await backend.database.sql`select ops.fold_metrics()`;
}

Deno.test("every request is counted once: by endpoint, status and code the metrics say what the log says", async () => {
  await lifeInTheBackend();
  await eventually("all requests are told", async () => {
    await fold();
    const counted = await backend.database.sql<{ name: string; count: number }[]>`
      select concat_ws(' ', p.labels ->> 'endpoint', p.labels ->> 'status', p.labels ->> 'code') as name, p.count::int
      from ops.metric_points as p where p.step = 'total' and p.name = 'requests'`;
    const inLog = countBy(
      await requestsInLog(),
      ({ endpoint, status, code }) => `${endpoint} ${status} ${code ?? "none"}`,
    );
    const inMetrics = Object.fromEntries(
      counted.map(({ name, count }) => [name, count] as const).sort(([one], [other]) => one < other ? -1 : 1),
    );
    return JSON.stringify(inLog) === JSON.stringify(inMetrics) ? true : undefined;
  });
  const text = await scrape(backend);
  const [[, models] = []] = samplesOf(text, "kinora_requests_total").filter(([labels]) =>
    labels.includes('endpoint="models",status="200"')
  );
  assert((models ?? 0) >= 3);
});

Deno.test("what was asked of providers and of the database is counted, with the video that it made", async () => {
  await lifeInTheBackend();
  const text = await eventually("the video is in the metrics", async () => {
    await fold();
    const text = await scrape(backend);
    const calls = samplesOf(text, "kinora_provider_calls_total").map(([labels]) => labels);
    const submits = calls.some((labels) => labels === 'operation="submit",outcome="ok",provider="fal"');
    return submits && samplesOf(text, "kinora_jobs_ended_last_hour").length > 0 ? text : undefined;
  });
  const procedures = samplesOf(text, "kinora_data_api_calls_total").map(([labels]) => labels);
  for (const procedure of ["generate_video", "claim_submission", "credits", "record_metrics"]) {
    assert(procedures.includes(`outcome="ok",procedure="${procedure}"`), procedure);
  }
  const { sql } = backend.database;
  const [completed] =
    await sql`select count(*)::int as jobs from videos.jobs as j where j.status = 'completed'`;
  const jobs = samplesOf(text, "kinora_jobs_ended_last_hour").filter(([labels]) =>
    labels.includes('"completed"')
  );
  assert.equal(jobs.reduce((sum, [, value]) => sum + value, 0), completed?.jobs);
  assert.equal(text.includes('="other"'), false, "each label's value is one of its set");
});

Deno.test("no call is made before an answer for the sake of metrics", async () => {
  await lifeInTheBackend();
  const perRequest = (await requestsInLog()).filter(({ endpoint }) => endpoint === "credits");
  for (const { status, data_api_calls } of perRequest) assert.equal(data_api_calls, status === 200 ? 1 : 0);
});

/** Where a tool is; null, with a line that says so, where it is not. Under CI it is there, or the test fails. */
async function toolOrNull(name: string): Promise<string | null> {
  const there = await new Deno.Command(name, { args: ["--version"], stdout: "null", stderr: "null" }).output()
    .then(({ success }) => success, () => false);
  if (there) return name;
  assert.equal(Deno.env.get("CI"), undefined, `${name} is not there: apt-get install prometheus`);
  console.log(`${name} is not there, so that nothing was checked with it: apt-get install prometheus`);
  return null;
}

Deno.test("promtool finds nothing to say about the metrics", async () => {
  const promtool = await toolOrNull("promtool");
  if (promtool === null) return;
  await lifeInTheBackend();
  const text = await eventually("something of each kind is there", async () => {
    await fold();
    const text = await scrape(backend);
    return ["counter", "gauge", "histogram"].every((type) => text.includes(` ${type}\n`)) ? text : undefined;
  });
  const check = new Deno.Command(promtool, {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = check.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await check.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.deepEqual([code, said], [0, ""]);
});

const queryAnswer = z.looseObject({
  data: z.looseObject({ result: z.array(z.looseObject({ value: z.tuple([z.number(), z.string()]) })) }),
});

Deno.test("a real Prometheus scrapes with its token, and has what was counted", async () => {
  const prometheus = await toolOrNull("prometheus");
  if (prometheus === null) return;
  await lifeInTheBackend();
  await fold();
  const directory = await Deno.makeTempDir();
  const url = new URL(backend.stack.url);
  await Deno.writeTextFile(
    `${directory}/prometheus.yml`,
    JSON.stringify({
      global: { scrape_interval: "1s" },
      scrape_configs: [{
        job_name: "kinora",
        metrics_path: "/functions/v1/metrics",
        authorization: { credentials: backend.keys.metricsToken },
        scheme: url.protocol.slice(0, -1),
        static_configs: [{ targets: [url.host] }],
      }],
    }),
  );
  // Prometheus does not tell which port it was given, so one that was free a moment ago.
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const process = new Deno.Command(prometheus, {
    args: [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    const query = async (expression: string) => {
      const address = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expression)}`;
      const response = await fetch(address).catch(() => null);
      if (response === null || !response.ok) {
        await response?.body?.cancel();
        return undefined;
      }
      const { data } = queryAnswer.parse(await response.json());
      const [first] = data.result;
      return first === undefined ? undefined : Number(first.value[1]);
    };
    assert.equal(
      await eventually("it has scraped", async () => await query('up{job="kinora"}') || undefined),
      1,
    );
    const { sql } = backend.database;
    const models = await eventually(
      "it has what was counted",
      () => query('sum(kinora_requests_total{endpoint="models"})'),
    );
    const [total] = await sql`
      select sum(p.count)::int as count from ops.metric_points as p
      where p.step = 'total' and p.name = 'requests' and p.labels ->> 'endpoint' = 'models'`;
    assert.equal(models, total?.count);
    const expression =
      'histogram_quantile(0.95, sum by (le) (kinora_request_seconds_bucket{endpoint="models"}))';
    const slowest = await query(expression);
    assert(slowest !== undefined && slowest > 0 && slowest <= 30, `${slowest}`);
  } finally {
    process.kill();
    await process.status;
    await Deno.remove(directory, { recursive: true });
  }
});
