/** Which tests run, and how, for what `deno task test` was called with. */

/** Functions under test may read their fixtures and nothing else: whoever forgets to pass a fake fails. */
const functionsPermissions = ["--allow-read"];
const everyPermission = ["--allow-all"];

interface Tier {
  readonly name: string;
  readonly files: RegExp;
  /** Those of `deno test`; pgTAP files have none. */
  readonly permissions?: readonly string[];
}

/** In the order they run. Files are found, never listed. */
const tiers: readonly Tier[] = [
  { name: "unit", files: /^supabase\/functions\/.+_test\.ts$/, permissions: functionsPermissions },
  { name: "database", files: /^supabase\/tests\/.+\.sql$/ },
  {
    name: "unit",
    files: /^(local|tools|bench|client)\/.+_test\.ts$|^tests\/[^/]+_test\.ts$/,
    permissions: everyPermission,
  },
  { name: "contract", files: /^tests\/contract\/.+_test\.ts$/, permissions: everyPermission },
  { name: "database", files: /^tests\/database\/.+_test\.ts$/, permissions: everyPermission },
  { name: "e2e", files: /^tests\/e2e\/.+_test\.ts$/, permissions: everyPermission },
  { name: "browser", files: /^tests\/browser\/.+_test\.ts$/, permissions: everyPermission },
];

/** Files that run together. */
export interface Pass {
  /** Of its tiers. */
  readonly name: string;
  readonly files: readonly string[];
  readonly permissions?: readonly string[];
  /** Whether the functions are the bundles that are deployed, on the platform's Deno. */
  readonly onPlatform: boolean;
}

export interface Wanted {
  /** Names of tiers, and parts of files' paths; none for everything. */
  readonly words: readonly string[];
  readonly long: boolean;
  readonly platform: boolean;
}

/** What was asked for is not there; the message says what. */
export class NoSuchTest extends Error {}

/** Gives the passes in their order. `isSampled` says of a file whether the quick tests run only a sample of it. */
export function select(
  { words, long, platform }: Wanted,
  files: readonly string[],
  isSampled: (file: string) => boolean,
): Pass[] {
  const passes = tiers
    .filter(({ name }) => !platform || name === "e2e")
    .map((tier) => ({ ...tier, files: files.filter((file) => tier.files.test(file)), onPlatform: platform }));
  const names = new Set(passes.map(({ name }) => name));
  const means = (word: string, { name }: Pass, file: string) =>
    names.has(word) ? word === name : file.includes(word);
  for (const word of words) {
    if (passes.some((pass) => pass.files.some((file) => means(word, pass, file)))) continue;
    throw new NoSuchTest(
      `"${word}" is neither a tier (${[...names].join(", ")}) nor in the path of ${
        platform ? "an end-to-end test" : "a test file"
      }.`,
    );
  }
  const differsByLength = long && !platform && words.length === 0;
  const isWanted = (pass: Pass, file: string) =>
    // The end-to-end tests run in full on what is deployed, and what is deployed is made of the sources.
    differsByLength
      ? pass.name !== "e2e" && isSampled(file)
      : words.length === 0 || words.some((word) => means(word, pass, file));
  const wanted = passes
    .map((pass) => ({ ...pass, files: pass.files.filter((file) => isWanted(pass, file)) }))
    .filter(({ files }) => files.length > 0);
  return differsByLength
    ? united([
      // What starts no stack does not care whose functions it would serve.
      ...wanted.map((pass) => ({ ...pass, onPlatform: true })),
      ...passes.filter(({ name }) => name === "e2e").map((pass) => ({ ...pass, onPlatform: true })),
    ])
    : united(wanted);
}

/** Tiers that follow each other and may do the same are one pass: at the end of each pass cores have nothing to do. */
function united(passes: readonly Pass[]): Pass[] {
  const result: Pass[] = [];
  for (const pass of passes) {
    const last = result.at(-1);
    if (last?.permissions === undefined || last.permissions !== pass.permissions) result.push(pass);
    else {result.splice(-1, 1, {
        ...last,
        name: `${last.name}, ${pass.name}`,
        files: [...last.files, ...pass.files],
      });}
  }
  return result;
}
