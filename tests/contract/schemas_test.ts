/**
 * The files of supabase/schemas, as people read them: each function is described once, and a procedure that functions call
 * is named as its endpoint.
 */
import assert from "node:assert/strict";
import { schemaFiles } from "../../tools/schemas.ts";
import { allOperations } from "../operations.ts";
import { declaredOperations } from "./generate-openapi.ts";

interface Declared {
  /** With its schema. */
  readonly name: string;
  readonly path: string;
  readonly firstArgument: string | undefined;
  /** The comment lines directly above it, or at the beginning of its body. */
  readonly hasHeader: boolean;
}

/** The functions that a file makes, in their order. */
function functionsOf(path: string, text: string): Declared[] {
  const statement =
    /^(--.*\n)?create (?:or replace )?(?:function|procedure) ([a-z_]+\.[a-z0-9_]+)\(\s*([^]*?)(?=^(?:--.*\n)?create |^comment |^grant |(?![^]))/gm;
  return Array.from(text.matchAll(statement), ([, above, name = "", rest = ""]) => ({
    name,
    path,
    firstArgument: /^(p_\w+) /.exec(rest)?.[1],
    hasHeader: above !== undefined || /^as \$\$\n *-- /m.test(rest),
  }));
}

const files = await schemaFiles();
const functions = files.flatMap(({ path, text }) => functionsOf(path, text));

Deno.test("the tests below see every function, its first argument and its header", () => {
  const text = [
    "-- Above.",
    "create function a.one(p_first integer, p_second text)",
    "returns integer",
    "language sql",
    "return 1;",
    "",
    "create function a.two()",
    "returns integer",
    "as $$",
    "-- In the body.",
    "select 1;",
    "$$;",
    "grant execute on function a.two to service_role;",
    "",
    "create function a.three(",
    "  p_first integer",
    ")",
    "returns integer",
    "as $$",
    "begin",
    "  -- Not at its beginning.",
    "end;",
    "$$;",
    "comment on function a.three(integer) is 'The third.';",
    "",
    "create function a.four()",
    "returns integer",
    "return 4;",
    "",
    "-- Above, too.",
    "create function a.five()",
    "returns integer",
    "return 5;",
  ].join("\n");
  const seen = functionsOf("a.sql", text);
  assert.deepEqual(seen.map(({ name, firstArgument, hasHeader }) => [name, firstArgument, hasHeader]), [
    ["a.one", "p_first", true],
    ["a.two", undefined, true],
    ["a.three", "p_first", false],
    ["a.four", undefined, false],
    ["a.five", undefined, true],
  ]);
  const all = files.flatMap(({ text }) =>
    Array.from(text.matchAll(/^ *create (or replace )?(function|procedure)/gm))
  );
  assert.equal(functions.length, all.length);
});

/** What the operator meets in the console or in the dashboard: described where `\df+` and the dashboard show it. */
const ofTheOperator = [
  "core.now",
  "core.tick",
  "credits.add_credits",
  "credits.balance_at",
  "credits.deduct_credits",
  "credits.rebuild_balances",
  "credits.reconcile",
  "credits.statement",
  "ops.make_admin",
  "ops.remove_admin",
  "ops.switch_flag",
  "ops.trace",
  "ops.trace_job",
];

Deno.test("every function is described once: by a comment of the database where the operator meets it, else by its header", () => {
  const commented = files.flatMap(({ text }) =>
    Array.from(text.matchAll(/^comment on (?:function|procedure) ([a-z_.]+)\(/gm), ([, name = ""]) => name)
  );
  assert.deepEqual(commented.sort(), ofTheOperator);
  const headed = functions.filter(({ hasHeader }) => hasHeader).map(({ name }) => name);
  assert.deepEqual(commented.filter((name) => headed.includes(name)), [], "described twice");
  const described = new Set([...headed, ...commented]);
  assert.deepEqual(functions.map(({ name }) => name).filter((name) => !described.has(name)), []);
});

const procedures = functions.filter(({ name }) => name.startsWith("api."))
  .map((procedure) => ({ ...procedure, name: procedure.name.slice("api.".length) }));

/** Files of `api` that are no endpoint's, and why. */
const helpers: Record<string, string> = {
  "submit-tasks": "of process-jobs: handing a job to its provider",
  "purchase-tasks": "of process-jobs: what Apple asks, and what it told in vain",
  "notify-tasks": "of process-jobs: telling users",
  "webhook-tasks": "of process-jobs: telling other servers",
  "upload-tasks": "of process-jobs: removing files of uploads that nobody needs",
  "video-tasks": "of process-jobs: polling, cancelling and storing a video",
  "account-tasks": "of process-jobs: telling Apple who has left, and writing down what is kept of a user",
  "push-tasks": "of process-jobs: telling devices",
  "erase-account": "of process-jobs: the last task of a closed account",
  "record-error": "of every endpoint, after an answer that was an error",
  "record-metrics": "of every endpoint, after an answer: what the isolate has counted",
};

/** Endpoints whose procedures have other names than theirs, and why. */
const inSteps: Record<string, string> = {
  "device-check": "asks Apple between its steps",
  "process-jobs": "does what it claimed, and calls the procedures of the tasks' files",
};

Deno.test("a file of `api` is named as the endpoint that calls it, and its procedures as the endpoint's operations", async () => {
  const endpoints = await declaredOperations();
  const paths = files.map(({ path }) => path).filter((path) => path.startsWith("supabase/schemas/api/"));
  assert.deepEqual(
    paths.sort(),
    [...endpoints.keys(), ...Object.keys(helpers)].map((name) => `supabase/schemas/api/${name}.sql`).sort(),
    "each endpoint has its file of `api`, named as its folder; a file that is no endpoint's is listed in `helpers` above",
  );
  for (const { operation, name, procedure } of allOperations) {
    if (name in inSteps) continue;
    const made = procedures.some((each) => each.path.endsWith(`/api/${name}.sql`) && each.name === procedure);
    assert(made, `supabase/schemas/api/${name}.sql must make api.${procedure}, which is ${operation}`);
  }
});

/** Procedures of endpoints whose callers are nobody's. */
const forMachines = procedures.filter(({ path }) => {
  const operations = allOperations.filter(({ name }) => path.endsWith(`/api/${name}.sql`));
  return operations.length > 0 && operations.every(({ auth }) => auth !== "user" && auth !== "admin");
}).map(({ name }) => name);

/** Other procedures that act for nobody, and why. */
const forNobody: Record<string, string> = {
  claim_submission: "the worker's: a job goes on whoever asked for it",
  deliver_inbox: "the worker's: it tells whoever the event's user is by now",
  finish_push: "the worker's: it tells whoever the event's user is by now",
  finish_webhook_delivery: "the worker's",
  load_upload_files: "the worker's",
  record_provider_accounts: "the worker's",
  record_upload_tidied: "the worker's",
  enter_device_lane: "a lane is a network's",
  erase_account: "the worker's: its user is gone",
  finish_apple_revocation: "the worker's",
  finish_consumption: "the worker's",
  finish_export: "the worker's",
  finish_export_deletion: "the worker's",
  keep_apple_token: "the worker's",
  load_export: "the worker's",
  load_export_page: "the worker's",
  finish_notification_history: "the worker's",
  load_consumption: "the worker's",
  load_notification_history: "the worker's",
  record_notification_history: "the worker's",
  keep_signed_urls: "what was signed is kept for the next reader",
  leave_device_lane: "a lane is a network's",
  record_cancel: "the worker's",
  record_error: "the functions' own: its user is one that the error is about",
  record_files_deleted: "the worker's",
  record_fingerprint: "the worker's",
  record_image: "the worker's",
  record_metrics: "the functions' own: what an isolate has counted",
  record_poll: "the worker's",
  record_stored: "the worker's",
  record_submission: "the worker's",
  record_unusable_result: "the worker's",
};

Deno.test("a procedure that acts for somebody is told first who that is", () => {
  assert(procedures.length > 30);
  const actsForNobody = procedures
    .filter(({ firstArgument }) => !["p_user_id", "p_admin_id"].includes(firstArgument ?? ""))
    .map(({ name }) => name);
  assert.deepEqual(actsForNobody.sort(), [...forMachines, ...Object.keys(forNobody)].sort());
});

Deno.test("an admin's procedure is told the admin, and every other one the user", async () => {
  const endpoints = await declaredOperations();
  for (const { name, path, firstArgument } of procedures) {
    if (name in forNobody || forMachines.includes(name)) continue;
    const operations = endpoints.get(path.replace(/^.*\/|\.sql$/g, "")) ?? [];
    const isAdmins = operations.some(({ auth }) => auth === "admin");
    assert.equal(firstArgument, isAdmins ? "p_admin_id" : "p_user_id", name);
  }
});
