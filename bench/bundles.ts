/** What an isolate loads before its first request: every endpoint's minified bundle, and the packages that fill it. */
import { decode } from "@jridgewell/sourcemap-codec";
import { documentations } from "../tests/contract/generate-openapi.ts";
import { bundleFunctions } from "../tools/bundles.ts";
import { showProgress } from "./progress.ts";
import { bound, type Findings } from "./report.ts";

/** Of the endpoints whose documentation says that an app feels their cold start. */
const hotBudget = 200_000;

/** So many say where nearly all of a bundle comes from. */
const packagesShown = 6;

const encoder = new TextEncoder();
const bytesOf = (text: string) => encoder.encode(text).length;
const kilobytes = (bytes: number) => (bytes / 1_000).toFixed(0);

interface Bundle {
  /** Bytes. */
  readonly size: number;
  /** Bytes by the package's name, the largest first; "Kinora" is the project's own code. */
  readonly packages: readonly (readonly [name: string, size: number])[];
}

async function measure(file: string): Promise<Bundle> {
  const code = await Deno.readTextFile(file);
  const map: SourceMap = JSON.parse(await Deno.readTextFile(`${file}.map`));
  return { size: bytesOf(code), packages: packagesOf(code, map) };
}

interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** Each piece of the code counts for the file that its mapping names; what the bundler adds has none. */
function packagesOf(code: string, { sources, mappings }: SourceMap): Bundle["packages"] {
  const lines = code.split("\n");
  const sizes = new Map<string, number>();
  for (const [index, segments] of decode(mappings).entries()) {
    for (const [position, [start, source]] of segments.entries()) {
      const name = source === undefined ? "" : packageOf(sources[source] ?? "");
      const piece = lines[index]?.slice(start, segments[position + 1]?.[0]) ?? "";
      sizes.set(name, (sizes.get(name) ?? 0) + bytesOf(piece));
    }
  }
  sizes.delete("");
  return [...sizes].sort(([, a], [, b]) => b - a);
}

/** The package that a source belongs to: packages lie in each other's node_modules, so the last one counts. */
function packageOf(source: string): string {
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? "Kinora";
}

/** The bundles' sizes, and which of them are over their budget. */
export async function measureBundles(): Promise<Findings> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await Deno.makeTempDir({ prefix: "kinora-bench-" });
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  showProgress("bundles");
  const hotEndpoints = [...await documentations()]
    .filter(([, operations]) => Object.values(operations).some(({ isHot }) => isHot)).map(([name]) => name);
  const sizes = new Map<string, number>();
  const rows: string[][] = [];
  for (const endpoint of await bundleFunctions(directory, ["--minify", "--sourcemap=external"])) {
    const { size, packages } = await measure(`${directory}/${endpoint}/index.js`);
    sizes.set(endpoint, size);
    const largest = packages.slice(0, packagesShown).map(([name, bytes]) => `${name} ${kilobytes(bytes)}`);
    rows.push([endpoint, kilobytes(size), largest.join(", ")]);
  }
  return {
    goals: hotEndpoints.map((endpoint) =>
      bound(`bundle of ${endpoint}`, (sizes.get(endpoint) ?? NaN) / 1_000, {
        atMost: hotBudget / 1_000,
        unit: " kB",
      })
    ),
    tables: [{ title: "Minified bundles", header: ["", "kB", "largest parts, kB"], rows }],
  };
}
