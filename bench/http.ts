/**
 * Endpoints over HTTP beside the bare procedure through the same gateway: `deno task bench:http`.
 */
import postgres from "postgres";
import { createClient } from "@supabase/supabase-js";
import { readArguments, wholeNumber } from "../local/arguments.ts";
import { deviceToken } from "../local/simulators/device-check/device-check.ts";
import { startStack } from "../local/stack.ts";
import { modelId, widenPolicies } from "./database.ts";
import { type Load, machine, measure, type Measurement, printTable } from "./measure.ts";

const { values: options } = readArguments(
  `deno task bench:http [--seconds=<number>] [--only=<text>]

Measures endpoints over HTTP, beside the bare procedures through the same gateway.
  --seconds=<number>   of each row (3)
  --only=<text>        the rows whose name contains it`,
  { options: { seconds: { type: "string", default: "3" }, only: { type: "string", default: "" } } },
);
const timing = { warmUpMilliseconds: 500, milliseconds: wholeNumber("seconds", options.seconds) * 1_000 };
const clientCounts = [1, 8, 32];

const directory = await Deno.makeTempDir({ prefix: "kinora-bench-" });
// The database keeps its data through a crash, so that commits wait for the disk as in production.
await Deno.chmod(directory, 0o755);
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(directory, { recursive: true }));
const stack = cleanup.use(
  await startStack({ dataDirectory: `${directory}/data`, tickMilliseconds: Infinity }),
);
const sql = postgres(stack.databaseUrl, { max: 4, onnotice: () => {} });
cleanup.defer(() => sql.end());
// All come from one network, and one admin asks for all.
await widenPolicies(sql, { hot: true });

interface Guest {
  userId: string;
  token: string;
  jobId: string;
}

/** One guest for each client, with credits and one job to look at. */
async function signIn(): Promise<Guest> {
  const supabase = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  const { data, error } = await supabase.auth.signInAnonymously();
  if (error !== null || data.user === null || data.session === null) {
    throw new Error("No guest", { cause: error });
  }
  const guest = { userId: data.user.id, token: data.session.access_token, jobId: "" };
  await invoke(guest, "models");
  await sql`select credits.add_credits(${guest.userId}, 1000000000, 'bench')`;
  const { job_id } = await invoke(guest, "generate-video", video());
  return { ...guest, jobId: String(job_id) };
}

async function signInAdmin(): Promise<Guest> {
  const credentials = { email: "admin@example.com", password: crypto.randomUUID() };
  const operator = createClient(stack.url, stack.secretKey, { auth: { persistSession: false } });
  const { data: created, error } = await operator.auth.admin.createUser({
    ...credentials,
    email_confirm: true,
  });
  if (error !== null) throw error;
  await sql`select ops.make_admin(${created.user.id})`;
  const supabase = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  const { data: { session } } = await supabase.auth.signInWithPassword(credentials);
  if (session === null) throw new Error("No session for the admin");
  return { userId: created.user.id, token: session.access_token, jobId: "" };
}

const video = () => ({ model_id: modelId, prompt: "A cat walks through the city at night" });

async function answerOf(response: Response): Promise<Record<string, unknown>> {
  const body = await response.json();
  // A procedure refuses with a code; a job that has not failed has a null.
  if (!response.ok || typeof body.error === "string") {
    throw new Error(`${response.status} ${JSON.stringify(body)}`);
  }
  return body;
}

/** An endpoint, as an app calls it: a GET, or with a body a POST unless `method` says otherwise. */
async function invoke(
  guest: Guest,
  path: string,
  body?: unknown,
  method = body === undefined ? "GET" : "POST",
): Promise<Record<string, unknown>> {
  return await answerOf(
    await fetch(`${stack.url}/functions/v1/${path}`, {
      method,
      headers: {
        apikey: stack.publishableKey,
        authorization: `Bearer ${guest.token}`,
        "content-type": "application/json",
        "idempotency-key": crypto.randomUUID(),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
}

/** The procedure itself, as the function calls it. */
async function rpc(name: string, args: Record<string, unknown>): Promise<unknown> {
  return await answerOf(
    await fetch(`${stack.url}/rest/v1/rpc/${name}`, {
      method: "POST",
      headers: { apikey: stack.secretKey, "content-type": "application/json" },
      body: JSON.stringify(args),
    }),
  );
}

const guests = await Promise.all(Array.from({ length: Math.max(...clientCounts) }, signIn));
const admin = await signInAdmin();
function guestOf(client: number): Guest {
  const guest = guests[client];
  if (guest === undefined) throw new Error(`No guest for client ${client}`);
  return guest;
}

const pairs: { name: string; endpoint: Load["call"]; bare?: Load["call"] }[] = [
  { name: "models, from memory", endpoint: (client) => invoke(guestOf(client), "models") },
  {
    name: "video-status",
    endpoint: (client) => invoke(guestOf(client), `video-status?job_id=${guestOf(client).jobId}`),
    bare: (client) =>
      rpc("video_status", { p_user_id: guestOf(client).userId, p_job_id: guestOf(client).jobId }),
  },
  {
    name: "video-jobs",
    endpoint: (client) => invoke(guestOf(client), "video-jobs"),
    bare: (client) =>
      rpc("video_jobs", {
        p_user_id: guestOf(client).userId,
        p_limit: 20,
        p_status: null,
        p_after: null,
      }),
  },
  {
    name: "credits",
    endpoint: (client) => invoke(guestOf(client), "credits"),
    bare: (client) => rpc("credits", { p_user_id: guestOf(client).userId, p_limit: 20, p_after: null }),
  },
  {
    name: "user-profile",
    endpoint: (client) => invoke(guestOf(client), "user-profile"),
    bare: (client) => rpc("get_user_profile", { p_user_id: guestOf(client).userId }),
  },
  {
    name: "user-profile, PATCH",
    endpoint: (client) => invoke(guestOf(client), "user-profile", { language: "tr" }, "PATCH"),
    bare: (client) =>
      rpc("patch_user_profile", { p_user_id: guestOf(client).userId, p_changes: { language: "tr" } }),
  },
  {
    // After each answer the video is submitted: two more calls of the Data API and one of the provider, on the same cores.
    name: "generate-video, and its submission",
    endpoint: (client) => invoke(guestOf(client), "generate-video", video()),
    bare: (client) =>
      rpc("generate_video", {
        p_user_id: guestOf(client).userId,
        p_network: "127.0.0.1",
        p_idempotency_key: crypto.randomUUID(),
        p_fingerprint: "0".repeat(64),
        p_request_id: "bench-request",
        p_model_id: modelId,
        p_prompt: video().prompt,
        p_settings: {},
        p_image_url: null,
      }),
  },
  {
    name: "device-check",
    endpoint: (client) =>
      invoke(guestOf(client), "device-check", { device_token: deviceToken(`bench ${client}`) }),
    bare: (client) =>
      rpc("begin_device_check", { p_user_id: guestOf(client).userId, p_network: "127.0.0.1" }),
  },
  {
    name: "admin-users",
    endpoint: (client) => invoke(admin, `admin-users?user_id=${guestOf(client).userId}`),
    bare: (client) => rpc("get_admin_users", { p_admin_id: admin.userId, p_user_id: guestOf(client).userId }),
  },
  {
    // What is taken has no limit a day.
    name: "admin-adjust-credits",
    endpoint: (client) =>
      invoke(admin, "admin-adjust-credits", { user_id: guestOf(client).userId, amount: -1, reason: "bench" }),
    bare: (client) =>
      rpc("admin_adjust_credits", {
        p_admin_id: admin.userId,
        p_idempotency_key: crypto.randomUUID(),
        p_fingerprint: "0".repeat(64),
        p_request_id: "bench-request",
        p_user_id: guestOf(client).userId,
        p_amount: -1,
        p_reason: "bench",
      }),
  },
  {
    name: "health",
    endpoint: (client) => invoke(guestOf(client), "health"),
    bare: () => rpc("health", {}),
  },
];

const [version] = await sql`select current_setting('server_version') as version`;
console.log(machine(`Postgres ${version?.version}`, "fetch of the same process"));
const rows: Measurement[] = [];
for (const { name, endpoint, bare } of pairs) {
  if (!name.includes(options.only)) continue;
  for (const clients of clientCounts) {
    const alone = bare && await measure({ name: `  its procedure alone`, clients, call: bare }, timing);
    const whole = await measure({ name, clients, call: endpoint }, timing);
    const budget = alone && `${(whole.median / alone.median).toFixed(2)} × of ≤ 1.5 ×`;
    rows.push(budget === undefined ? whole : { ...whole, budget }, ...(alone === undefined ? [] : [alone]));
  }
}
printTable(`Endpoints over HTTP, ${options.seconds} s each`, rows);
