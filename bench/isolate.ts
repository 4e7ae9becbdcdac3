/**
 * The functions alone, as an isolate has them: a program that answers requests with the deployed bundles and without a
 * network. It reads an `IsolateWork` as JSON from standard input, and prints an `IsolateFigures` as its last line. It runs on
 * the platform's Deno, too, and therefore imports nothing.
 */

export interface IsolateWork {
  /** The URL of the folder with the bundles. */
  readonly bundles: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What the Data API answered to each procedure, by its name. */
  readonly answers: Readonly<Record<string, string>>;
  readonly requests: readonly {
    readonly name: string;
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | null;
  }[];
  /** Of each request, before and while something is counted. */
  readonly warmUp: number;
  readonly calls: number;
}

/** CPU time of the process for each request, in milliseconds. */
export type IsolateFigures = Readonly<Record<string, number>>;

const work: IsolateWork = JSON.parse(await new Response(Deno.stdin.readable).text());
for (const [name, value] of Object.entries(work.environment)) Deno.env.set(name, value);

Object.assign(globalThis, {
  fetch: (input: string | URL | Request) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const answer = work.answers[pathname.split("/").at(-1) ?? ""];
    if (answer === undefined) return Promise.reject(new Error(`Nobody answers ${pathname}`));
    const headers = { "content-type": "application/json", "content-length": `${answer.length}` };
    return Promise.resolve(new Response(answer, { headers }));
  },
});

/** In milliseconds, in steps of 10. */
function cpuTime(): number {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13);
  return 10 * (Number(user) + Number(system));
}

const figures: Record<string, number> = {};
for (const { name, method, url, headers, body } of work.requests) {
  const endpoint = new URL(url).pathname.split("/").at(-1);
  const { default: { fetch } } = await import(`${work.bundles}/${endpoint}/index.js`);
  const call = async () => {
    const response: Response = await fetch(
      new Request(url, {
        method,
        headers: { ...headers, "idempotency-key": crypto.randomUUID() },
        body,
      }),
    );
    const text = await response.text();
    if (!response.ok) throw new Error(`${name}: ${response.status} ${text}`);
    // What follows an answer is done beside the next request, as it is in an isolate; metrics are told much later.
  };
  for (let turn = 0; turn < work.warmUp; turn += 1) await call();
  const before = cpuTime();
  for (let turn = 0; turn < work.calls; turn += 1) await call();
  figures[name] = (cpuTime() - before) / work.calls;
}
console.log(JSON.stringify(figures));
Deno.exit();
