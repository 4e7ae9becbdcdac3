/** The servers of docs/webhooks.md, each in its own runtime, where that is there: they take what is ours, and nothing else. */
import assert from "node:assert/strict";
import { holdPorts } from "../../local/ports.ts";
import { newSecret, signedHeaders } from "../../supabase/functions/_shared/webhooks/secrets.ts";
import { fences, readDocument } from "../contract/documents.ts";
import { eventually } from "./eventually.ts";

const root = new URL("../../", import.meta.url);

interface Runtime {
  readonly language: string;
  readonly command: string;
  /** Runs the code that comes by standard input. */
  readonly args: readonly string[];
  /** Fails where the runtime, or the library for it, is not there. */
  readonly probe: readonly string[];
}

const runtimes: Readonly<Record<string, Runtime>> = {
  Node: {
    language: "js",
    command: "node",
    args: ["--input-type=module", "-"],
    probe: ["--version"],
  },
  Deno: {
    language: "ts",
    command: Deno.execPath(),
    args: ["run", "-A", "--no-check", "-"],
    probe: ["--version"],
  },
  Python: { language: "python", command: "python3", args: ["-"], probe: ["-c", "import standardwebhooks"] },
};

async function isThere({ command, probe }: Runtime): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, { args: [...probe], stdout: "null", stderr: "null" })
      .output();
    return success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

for (const [name, runtime] of Object.entries(runtimes)) {
  const ignore = !await isThere(runtime);
  Deno.test({
    name: `the server of the guide in ${name} verifies what it is told`,
    ignore,
    fn: () => tryOut(runtime),
  });
}

async function tryOut({ language, command, args }: Runtime): Promise<void> {
  const [code = assert.fail("the guide has none")] = fences(await readDocument("docs/webhooks.md"), language);
  using ports = holdPorts();
  const port = ports.take();
  const secret = newSecret();
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: root,
    env: { PORT: String(port), WEBHOOK_SECRET: secret },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  const heard = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) said += text;
  })();
  try {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(code));
    await writer.close();
    const body = JSON.stringify({ id: crypto.randomUUID(), type: "webhook.test", data: { text: "ü" } });
    const send = async (headers: Record<string, string>, sent = body) => {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", headers, body: sent });
      await response.body?.cancel();
      return response.status;
    };
    const message = { id: crypto.randomUUID(), body, now: Date.now() };
    // As it is while a secret is rotated: another signs first.
    const headers = await signedHeaders([newSecret(), secret], message);
    const status = await eventually("the server listens", () => send(headers).catch(() => undefined));
    assert.equal(status, 204);
    assert.equal(await send(headers, body.replace("ü", "u")), 401);
    assert.equal(await send(await signedHeaders([newSecret()], message)), 401);
    assert.equal(await send(await signedHeaders([secret], { ...message, now: Date.now() - 600_000 })), 401);
    await eventually(
      "it says what it was told",
      () => Promise.resolve(said.includes("webhook.test") || undefined),
    );
  } finally {
    child.kill();
    await child.status;
    await heard;
  }
}
