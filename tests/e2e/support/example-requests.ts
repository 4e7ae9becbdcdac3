/** The request that an operation's documentation shows, so that whatever tries all endpoints knows a new one by itself. */
import { operationKey } from "../../../supabase/functions/_shared/endpoint/operation.ts";
import { exampleIds } from "../../../supabase/functions/_shared/endpoint/example-ids.ts";
import { Project } from "../../../supabase/functions/_shared/videos/contract.ts";
import { decodeJwt } from "jose";
import { deviceToken } from "../../../local/simulators/device-check/device-check.ts";
import { documentations } from "../../contract/generate-openapi.ts";
import type { Stack } from "../../../local/stack.ts";
import type { Operation } from "../../operations.ts";
import { bodyOf } from "./answer.ts";
import type { Backend, Guest } from "./backend.ts";
import { sendUpload } from "./uploads.ts";
import { ended, generate, submissionIs } from "./videos.ts";

export interface Request {
  /** From the question mark on; empty without one. */
  readonly query: string;
  readonly body?: unknown;
}

const documented = await documentations();

/** How often the example may ask the Data API before its answer. */
export function budgetOf(operation: Operation): number {
  return documented.get(operation.name)?.[operationKey(operation)]?.dataApiCalls ?? 1;
}

/** The example's request; with `ids` in the place of the example's ids, which are nobody's. */
export function exampleRequest(
  operation: Operation,
  ids: Partial<Record<keyof typeof exampleIds, string>> = {},
): Request {
  const example = documented.get(operation.name)?.[operationKey(operation)];
  if (example === undefined) throw new Error(`documentation.ts says nothing of ${operation.operation}`);
  const text = Object.entries(ids).reduce(
    (text, [kind, id]) => text.replaceAll(exampleIds[kind as keyof typeof exampleIds], id),
    JSON.stringify({ query: example.query ?? {}, body: example.request }),
  );
  const { query, body } = JSON.parse(text, (key, value) =>
    // Apple's simulator knows its own tokens alone, each of them once.
    key === "device_token" ? deviceToken(crypto.randomUUID()) : value);
  const parameters = new URLSearchParams(query).toString();
  return { query: parameters === "" ? "" : `?${parameters}`, body };
}

/** Operations that are asked about a job with a provider; every other one is asked about a video. */
const aboutRunningJobs = ["POST cancel-video"];

/** What simulated Apple signs in the place of the examples: a purchase that is whoever's presents it, and notifications. */
export async function signedByApple(
  { simulators: { appStore, appleId } }: Pick<Stack, "simulators">,
): Promise<
  Record<
    "signedTransaction" | "signedAppTransaction" | "signedNotification" | "signedIdentityNotification",
    string
  >
> {
  const { signed } = await appStore.do({ deed: "buy", productId: "credits_10" });
  const { notificationId } = await appStore.do({ deed: "notify", type: "TEST" });
  const { notifications } = await appStore.control.report();
  const signedNotification = notifications.find(({ id }) => id === notificationId)?.signedPayload;
  const { signed: signedAppTransaction } = await appStore.do({
    deed: "app_transaction",
    account: crypto.randomUUID(),
  });
  if (signed === null || signedAppTransaction === null || signedNotification === undefined) {
    throw new Error("The App Store has signed nothing");
  }
  const { payload } = await appleId.notification({ type: "email-enabled", sub: crypto.randomUUID() });
  return {
    signedTransaction: signed,
    signedAppTransaction,
    signedNotification,
    signedIdentityNotification: payload,
  };
}

/** The number of a task that has used its tries; there is nothing to do for it. */
export async function deadTask({ database: { sql } }: Backend): Promise<number> {
  const [row] = await sql<{ id: number }[]>`
    insert into queue.tasks (kind, subject, priority, place, run_at, created_at, failed_at)
    values ('deliver_inbox', gen_random_uuid(), 5, 0, core.now(), core.now(), core.now())
    returning id::int`;
  if (row === undefined) throw new Error("There is no task");
  return row.id;
}

/** The example's request, about something that there is, and that is `guest`'s where it is about nobody else's. */
export async function requestAbout(backend: Backend, guest: Guest, operation: Operation): Promise<Request> {
  const { body } = exampleRequest(operation);
  if (typeof body === "object" && body !== null && "guest_token" in body) {
    return { query: "", body: { ...body, guest_token: (await backend.signIn(1)).token } };
  }
  const text = JSON.stringify(exampleRequest(operation));
  if (text.includes(exampleIds.signedAppTransaction)) {
    // Somebody came with that Apple Account, and nobody is signed in as them any more.
    const signed = await signedByApple(backend.stack);
    const { appTransactionId, receiptType } = decodeJwt(signed.signedAppTransaction);
    const lost = await backend.signIn(1);
    const { sql } = backend.database;
    const app = {
      environment: String(receiptType).toLowerCase(),
      app_transaction_id: String(appTransactionId),
    };
    await sql`select accounts.admit(${lost.id}), devices.note_app_transaction(${lost.id}, ${sql.json(app)})`;
    await sql`delete from auth.sessions where user_id = ${lost.id}`;
    return exampleRequest(operation, signed);
  }
  const ofApple = [
    exampleIds.signedTransaction,
    exampleIds.signedNotification,
    exampleIds.signedIdentityNotification,
  ];
  if (ofApple.some((signed) => text.includes(signed))) {
    return exampleRequest(operation, await signedByApple(backend.stack));
  }
  if (text.includes(exampleIds.case)) {
    // Somebody else's video, that its user reported.
    const customer = await backend.signIn(100);
    const { job_id } = await generate(customer);
    await ended(backend, customer, job_id);
    await customer.call("reports", { body: { job_id, reason: "other" } });
    const [row] = await backend.database.sql<{ id: string }[]>`
      select c.id from safety.cases as c where c.job_id = ${job_id}`;
    return exampleRequest(operation, { case: row?.id ?? "" });
  }
  if (operation.name === "appeals") {
    // The operator has removed the video; its file stays known as it was.
    const { job_id } = await generate(guest);
    await ended(backend, guest, job_id);
    const { sql } = backend.database;
    await sql`update videos.jobs set removed_at = core.now() where id = ${job_id}`;
    await sql`
      insert into safety.cases (job_id, status, ground, opened_at) values (${job_id}, 'removed', 'hate', core.now())`;
    return exampleRequest(operation, { job: job_id });
  }
  if (text.includes(exampleIds.webhook)) {
    // One of 20 that there may be.
    const webhook = crypto.randomUUID();
    const { sql } = backend.database;
    await sql`delete from webhooks.webhooks`;
    await sql`select webhooks.add(${webhook}, 'https://hooks.example.com/', '{account.closed}', 'v1.eA==')`;
    return exampleRequest(operation, { webhook });
  }
  if (operation.operation === "POST admin-queue") {
    const { body } = exampleRequest(operation);
    return { query: "", body: { ...Object(body), task_id: await deadTask(backend) } };
  }
  if (text.includes(exampleIds.project)) {
    const answer = await guest.call("projects", { body: { name: "A project" } });
    return exampleRequest(operation, { project: bodyOf(answer, 201, Project).project_id });
  }
  if (text.includes(exampleIds.upload)) {
    return exampleRequest(operation, { upload: (await sendUpload(guest)).upload_id });
  }
  const owner = text.includes(exampleIds.user) ? await backend.signIn(100) : guest;
  if (!text.includes(exampleIds.job)) return exampleRequest(operation, { user: owner.id });
  const isRunning = aboutRunningJobs.includes(operation.operation);
  if (isRunning) await backend.stack.simulators.fal.control.rules({ outcome: "never" });
  const { job_id } = await generate(owner);
  await (isRunning ? submissionIs(backend, job_id, "accepted") : ended(backend, owner, job_id));
  return exampleRequest(operation, { user: owner.id, job: job_id });
}
