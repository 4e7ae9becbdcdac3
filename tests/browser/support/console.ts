/** The whole backend with the built console, and pages of a real browser in which nothing may go wrong unseen. */
import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { makeAdmin, openConsole } from "../../../local/console.ts";
import { totpCode } from "../../../local/platform/auth/factors.ts";
import type { StackOptions } from "../../../local/stack.ts";
import { patience } from "../../../local/testing/patience.ts";
import { buildConsole } from "../../../tools/console.ts";
import { type Backend, newClient, startBackend } from "../../e2e/support/backend.ts";
import { chromiumPath, launch } from "./chromium.ts";

export interface Admin {
  readonly id: string;
  readonly email: string;
  readonly password: string;
  readonly totpSecret: string;
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
}

export interface VisitOptions extends BrowserContextOptions {
  /** Errors in the browser's console that the test causes; any other fails it when the visit ends. */
  expected?: RegExp;
}

export interface TestedConsole extends AsyncDisposable {
  readonly backend: Backend;
  readonly url: string;
  /** Somebody new with a password and a second factor, whom the operator has made an admin. */
  makeAdmin(): Promise<Admin>;
  /** A page in a browser of its own, at `hash` of the console, where nobody has signed in. */
  open(hash?: string, options?: VisitOptions): Promise<Visit>;
  /** As `open`, where an admin has signed in: `admin`, or a new one. */
  openAsAdmin(hash?: string, options?: VisitOptions & { admin?: Admin }): Promise<Visit>;
}

/** A test that needs Chromium: ignored where there is none, which chromium_test.ts tells. */
export function browserTest(name: string, test: () => Promise<void>): void {
  Deno.test(name, { ignore: chromiumPath === null }, test);
}

/** Starts it, as a deployed one is: admins need a second factor. */
export async function startConsole(options: StackOptions = {}): Promise<TestedConsole> {
  await using cleanup = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  cleanup.defer(() => Deno.remove(folder, { recursive: true }));
  const [backend] = await Promise.all([
    startBackend({ ...options, environment: { ADMIN_ASSURANCE_LEVEL: undefined, ...options.environment } }),
    buildConsole(folder),
  ]);
  cleanup.use(backend);
  const url = await openConsole(backend.stack, folder);
  let browser: Browser | undefined;
  cleanup.defer(async () => await browser?.close());
  const running = cleanup.move();

  async function open(hash = "", { expected, ...options }: VisitOptions = {}): Promise<Visit> {
    browser ??= await launch();
    const context = await browser.newContext(options);
    context.setDefaultTimeout(patience);
    const page = await context.newPage();
    const errors: string[] = [];
    const notice = (text: string) => expected?.test(text) || errors.push(text);
    page.on("console", (message) => message.type() === "error" && notice(message.text()));
    page.on("pageerror", (error) => notice(String(error)));
    await page.goto(`${url}${hash}`);
    return {
      page,
      async [Symbol.asyncDispose]() {
        await context.close();
        assert.deepEqual(errors, [], "the browser's console has no error");
      },
    };
  }

  return {
    backend,
    url,
    open,
    makeAdmin: () => makeAdmin(backend.stack),
    async openAsAdmin(hash = "", { admin, ...options } = {}) {
      const session = await sessionOf(backend, admin ?? await makeAdmin(backend.stack));
      const visit = await open(hash, options);
      await visit.page.evaluate((text) => sessionStorage.setItem("kinora.console", text), session);
      await visit.page.reload();
      await visit.page.getByRole("navigation").waitFor();
      return visit;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** What supabase-js keeps of an admin who has signed in with both factors. */
async function sessionOf({ stack }: Backend, { email, password, totpSecret }: Admin): Promise<string> {
  const { auth } = newClient(stack);
  await auth.signInWithPassword({ email, password });
  const { data } = await auth.mfa.listFactors();
  const factorId = data?.totp[0]?.id ?? "";
  await auth.mfa.challengeAndVerify({ factorId, code: totpCode(totpSecret, Date.now()) });
  const { data: { session } } = await auth.getSession();
  return JSON.stringify(session);
}
