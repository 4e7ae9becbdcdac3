/** Another server of the demo's operator, which is told what happens and believes it by its signature alone. */
import { createClient } from "@supabase/supabase-js";
import { Webhook } from "standardwebhooks";
import { withConnection } from "../postgres/database.ts";
import { type ReceivedMessage, startReceiver } from "../simulators/receiver/receiver.ts";
import type { Stack } from "../stack.ts";

export interface DemoServer {
  /** The first message of a type, once it is there. Throws where its signature is not right, or it does not come. */
  told(type: string): Promise<{ id: string; data: Record<string, unknown> }>;
}

/** Starts it, and has an admin register it for these types. */
export async function startDemoServer(
  cleanup: AsyncDisposableStack,
  stack: Stack,
  types: readonly string[],
): Promise<DemoServer> {
  const messages: ReceivedMessage[] = [];
  const receiver = cleanup.use(await startReceiver({ heard: (message) => void messages.push(message) }));
  const operator = createClient(stack.url, stack.secretKey, { auth: { persistSession: false } });
  const credentials = { email: "operator@example.com", password: crypto.randomUUID() };
  const created = await operator.auth.admin.createUser({ ...credentials, email_confirm: true });
  if (created.error !== null) throw created.error;
  const { id } = created.data.user;
  await withConnection(stack.databaseUrl, (sql) => sql`select ops.make_admin(${id})`);
  const admin = createClient(stack.url, stack.publishableKey, { auth: { persistSession: false } });
  await admin.auth.signInWithPassword(credentials);
  const body = { url: `${receiver.url}/kinora`, types, reason: "for the demo" };
  const { data, error } = await admin.functions.invoke("admin-webhooks", { body });
  if (error !== null) throw error;
  const webhook = new Webhook(data.secret);
  return {
    async told(type) {
      const deadline = performance.now() + 30_000;
      while (performance.now() < deadline) {
        for (const { body, headers } of messages) {
          const event = webhook.verify(body, headers) as {
            id: string;
            type: string;
            data: Record<string, unknown>;
          };
          if (event.type === type) return event;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`The other server was told of no ${type} within half a minute`);
    },
  };
}
