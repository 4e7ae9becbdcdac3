/**
 * Endpoints over HTTP, beside the bare calls of the Data API that they cause, through the same gateway; and the functions
 * alone, with the answers that the Data API gave, on our Deno and on the platform's.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import postgres from "postgres";
import { createClient } from "@supabase/supabase-js";
import { platformDeno } from "../local/functions/functions-source.ts";
import { systemIsLinux } from "../local/processes/system.ts";
import { startStack } from "../local/stack.ts";
import { bundleFunctions } from "../tools/bundles.ts";
import { benchFolder, modelId, widenPolicies } from "./database.ts";
import type { IsolateFigures, IsolateWork } from "./isolate.ts";
import { failedOf, measureInTurns, type Row, tableOf, type Timing } from "./measure.ts";
import { showProgress } from "./progress.ts";
import { bound, type Findings, median, type Table } from "./report.ts";

export interface EndpointsOptions {
  readonly timing: Timing;
  readonly repetitions: number;
  /** Of each endpoint without the database. */
  readonly calls: number;
  /** Whether the functions alone are measured on the platform's Deno as well, which npm fetches once. */
  readonly onPlatform: boolean;
}

type Json = Record<string, unknown>;

/** One call of an app, and the calls of the Data API that it causes, in their order. */
interface Pair {
  readonly name: string;
  readonly path: (guest: Guest) => string;
  readonly body?: Json;
  /** At most so many times the bare calls. */
  readonly times?: number;
  readonly bare: (guest: Guest) => Promise<unknown>;
  /** The procedures whose answers the function needs. */
  readonly procedures: readonly string[];
}

/** Somebody with credits and a video. */
interface Guest {
  readonly userId: string;
  readonly jobId: string;
  readonly headers: Record<string, string>;
}

/** One client: what is compared is how long one waits. */
const clients = 1;
/** Who takes turns: no policy admits more than 300 calls a second of one, and no endpoint answers 2,400. */
const guestCount = 8;

/** The ratios and times of the endpoints, and their CPU time without the database. */
export async function measureEndpoints(options: EndpointsOptions): Promise<Findings> {
  await using cleanup = new AsyncDisposableStack();
  showProgress("the whole stack");
  const folder = await benchFolder(cleanup);
  const stack = cleanup.use(
    await startStack({ dataDirectory: `${folder}/data`, tickMilliseconds: Infinity }),
  );
  const sql = postgres(stack.databaseUrl, { max: 4, onnotice: () => {} });
  cleanup.defer(() => sql.end());
  await widenPolicies(sql, "user");

  const answers: Record<string, string> = {};
  const rpc = async (name: string, args: Json): Promise<Json> => {
    const response = await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
      method: "POST",
      headers: { apikey: stack.secretKey, "content-type": "application/json" },
      body: JSON.stringify(args),
    });
    const text = await response.text();
    const answer = JSON.parse(text);
    if (!response.ok || typeof answer.error === "string") {
      throw new Error(`${name}: ${response.status} ${text}`);
    }
    answers[name] = text;
    return answer.data;
  };
  const invoke = async (headers: Guest["headers"], path: string, body?: Json): Promise<Json> => {
    const response = await fetch(`${stack.url}/functions/v1/${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { ...headers, "idempotency-key": crypto.randomUUID() },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };

  const guests: Guest[] = [];
  while (guests.length < guestCount) {
    const supabase = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
    const { data: { session } } = await supabase.auth.signInAnonymously();
    if (session === null) throw new Error("No guest");
    const userId = session.user.id;
    const headers = {
      apikey: stack.publishableKey,
      authorization: `Bearer ${session.access_token}`,
      "content-type": "application/json",
    };
    await invoke(headers, "models");
    await sql`select accounts.admit(${userId})`;
    await sql`select credits.add_credits(${userId}, 1000000000, 'bench')`;
    const { job_id } = await invoke(headers, "generate-video", video);
    guests.push({ userId, jobId: String(job_id), headers });
  }
  const [first] = guests;
  if (first === undefined) throw new Error("No guest");
  const inTurns = (call: (guest: Guest) => Promise<unknown>) => (_client: number, turn: number) =>
    call(guests[turn % guests.length] ?? first);
  const pairs = pairsOf(rpc);

  const rows = pairs.flatMap((pair): Row[] => [
    { name: pair.name, call: inTurns((guest) => invoke(guest.headers, pair.path(guest), pair.body)) },
    { name: bareName(pair), call: inTurns(pair.bare) },
  ]);
  const bulk: Row = {
    name: "generate-videos, 10 items",
    call: inTurns(({ headers }) =>
      invoke(headers, "generate-videos", { mode: "all", items: Array(10).fill(video) })
    ),
  };
  const models = { name: "models, from memory", path: () => "models" };
  const found = await measureInTurns(
    [
      { name: models.name, call: inTurns(({ headers }) => invoke(headers, models.path())) },
      ...rows,
      bulk,
    ],
    clients,
    options,
  );
  await rpc("models", { p_user_id: first.userId });

  const work = (bundles: string): IsolateWork => ({
    bundles,
    environment: {
      SUPABASE_URL: stack.url,
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: stack.publishableKey }),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secretKey }),
      SUPABASE_JWKS: JSON.stringify(stack.jwks),
      ENVIRONMENT: "local",
    },
    // Without the webhooks' secret nothing is submitted.
    answers: { ...answers, claim_submission: '{"data":{"claimed":false}}' },
    requests: [models, ...pairs].map((pair: Pick<Pair, "name" | "path" | "body">) => ({
      name: pair.name,
      method: pair.body === undefined ? "GET" : "POST",
      url: `${stack.url}/functions/v1/${pair.path(first)}`,
      headers: { ...first.headers, "cf-connecting-ip": "127.0.0.1" },
      body: pair.body === undefined ? null : JSON.stringify(pair.body),
    })),
    warmUp: Math.ceil(options.calls / 4),
    calls: options.calls,
  });

  return {
    failed: failedOf(found.values()),
    goals: [
      ...pairs.map((pair) =>
        bound(
          `${pair.name} over HTTP: p50, beside ${
            pair.procedures.length === 1 ? "its bare call" : "its bare calls"
          }`,
          (found.get(pair.name)?.median ?? NaN) / (found.get(bareName(pair))?.median ?? NaN),
          { atMost: pair.times ?? 1.3, unit: " ×" },
        )
      ),
      bound(
        `${bulk.name}, over HTTP: p50, beside 4 calls of generate-video`,
        (found.get(bulk.name)?.median ?? NaN) / (4 * (found.get("generate-video")?.median ?? NaN)),
        { atMost: 1, unit: " ×" },
      ),
    ],
    tables: [
      tableOf("Endpoints over HTTP, one client", found.values()),
      ...(systemIsLinux ? [await measureAlone(folder, work, options)] : []),
    ],
  };
}

const bareName = ({ name, procedures }: Pick<Pair, "name" | "procedures">) =>
  `  bare ${procedures.join(", ")}${procedures.length > 1 ? ` (${name})` : ""}`;

const video: Json = { model_id: modelId, prompt: "A cat walks through the city at night" };

function pairsOf(rpc: (name: string, args: Json) => Promise<Json>): Pair[] {
  const lists = [
    ["video-jobs", "video_jobs", { p_limit: 20, p_status: null, p_after: null }],
    ["credits", "credits", { p_limit: 20, p_after: null }],
    ["user-profile", "get_user_profile", {}],
  ] as const;
  return [
    {
      name: "video-status",
      path: ({ jobId }) => `video-status?job_id=${jobId}`,
      bare: ({ userId, jobId }) => rpc("video_status", { p_user_id: userId, p_job_id: jobId }),
      procedures: ["video_status"],
    },
    ...lists.map(([name, procedure, args]): Pair => ({
      name,
      path: () => name,
      bare: ({ userId }) => rpc(procedure, { p_user_id: userId, ...args }),
      procedures: [procedure],
    })),
    {
      // After each answer the video is submitted, on the same cores: those calls are counted, too.
      name: "generate-video",
      path: () => "generate-video",
      body: video,
      times: 1.5,
      procedures: ["generate_video", "claim_submission", "record_submission"],
      bare: async ({ userId }) => {
        const { job_id } = await rpc("generate_video", {
          p_user_id: userId,
          p_network: "127.0.0.1",
          p_idempotency_key: crypto.randomUUID(),
          p_fingerprint: "0".repeat(64),
          p_request_id: "bench-request",
          p_settings: {},
          p_image_url: null,
          p_providers: ["fal"],
          ...Object.fromEntries(Object.entries(video).map(([field, value]) => [`p_${field}`, value])),
        });
        const claim = await rpc("claim_submission", {
          p_job_id: job_id,
          p_providers: ["fal"],
          p_moderates: false,
        });
        await rpc("record_submission", {
          p_submission_id: claim["submission_id"],
          p_outcome: {
            outcome: "accepted",
            request_id: crypto.randomUUID(),
            references: {},
            reports_start: true,
          },
          p_poll_seconds: 60,
          p_providers: ["fal"],
        });
      },
    },
  ];
}

/** The functions in a process of their own, which has the whole network's answers in its memory. */
async function measureAlone(
  folder: string,
  work: (bundles: string) => IsolateWork,
  { repetitions, onPlatform }: EndpointsOptions,
): Promise<Table> {
  showProgress("the functions alone");
  await bundleFunctions(`${folder}/bundles`);
  const input = JSON.stringify(work(pathToFileURL(`${folder}/bundles`).href));
  const denos = [Deno.execPath(), ...(onPlatform ? [await platformDeno()] : [])];
  const taken = new Map<string, IsolateFigures[]>(denos.map((deno) => [deno, []]));
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    for (const deno of denos) taken.get(deno)?.push(await runIsolate(deno, input));
  }
  const columns = [...taken.values()];
  return {
    title: "CPU of a request without the database, ms",
    header: ["", "on our Deno", ...(onPlatform ? ["on the platform's Deno"] : [])],
    rows: Object.keys(columns[0]?.[0] ?? {}).map((name) => [
      name,
      ...columns.map((figures) => median(figures.map((each) => each[name] ?? NaN)).toFixed(2)),
    ]),
  };
}

async function runIsolate(deno: string, input: string): Promise<IsolateFigures> {
  showProgress("the functions alone");
  const child = new Deno.Command(deno, {
    args: [
      "run",
      "--quiet",
      "--no-config",
      "--no-lock",
      "--no-check",
      "--allow-all",
      fileURLToPath(new URL("isolate.ts", import.meta.url)),
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`The functions alone ended with code ${code}: ${decoder.decode(stderr)}`);
  return JSON.parse(decoder.decode(stdout).trimEnd().split("\n").at(-1) ?? "");
}
