/** Flags in flagd's JSON (flagd.dev/reference/flag-definitions): the part of it that Kinora's flags can say, in both directions. */
import type { Flag, FlagRule } from "../../supabase/functions/_shared/ops/contract.ts";

/** A flag without the count of its changes. */
export type FlagDefinition = Omit<Flag, "version">;

// JSONLogic is lists of anything, and read as what it may be.
// deno-lint-ignore no-explicit-any
type Json = any;

const schema = "https://flagd.dev/schema/v0/flags.json";

/** The names by which flagd's rules ask what ours do. */
const attributes = { users: "targetingKey", platforms: "platform", locales: "locale" } as const;
const timestamp = "$flagd.timestamp";
const versionOperators: readonly string[] = ["=", "!=", "<", "<=", ">", ">=", "^", "~"];

/** The definitions as flagd reads them. What it does not know stands in `metadata`, which it passes on. */
export function flagdOf(flags: readonly FlagDefinition[]): Json {
  return { $schema: schema, flags: Object.fromEntries(flags.map((flag) => [flag.key, flagOf(flag)])) };
}

function flagOf(flag: FlagDefinition): Json {
  const metadata = {
    ...(flag.description === null ? {} : { description: flag.description }),
    ...(flag.off_variant === null ? {} : { offVariant: flag.off_variant }),
    ...(flag.is_experiment ? { isExperiment: true } : {}),
    ...(flag.is_switch ? { isSwitch: true } : {}),
  };
  return {
    state: flag.is_enabled ? "ENABLED" : "DISABLED",
    variants: flag.variants,
    defaultVariant: flag.default_variant,
    ...(flag.rules.length === 0 ? {} : { targeting: targetingOf(flag.rules) }),
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

function targetingOf(rules: readonly FlagRule[]): Json {
  return {
    if: rules.flatMap((rule, index) => {
      const outcome = rule.variant ?? {
        fractional: rule.split?.map(({ variant, weight }) => [variant, weight]),
      };
      const conditions = conditionsOf(rule);
      const isElse = conditions.length === 0 && index > 0;
      const condition = conditions.length === 0
        ? true
        : conditions.length === 1
        ? conditions[0]
        : { and: conditions };
      return isElse ? [outcome] : [condition, outcome];
    }),
  };
}

function conditionsOf(rule: FlagRule): Json[] {
  const lists = (["users", "platforms", "locales"] as const).flatMap((name) =>
    rule[name] === undefined ? [] : [{ in: [{ var: attributes[name] }, rule[name]] }]
  );
  const versions = (rule.app_versions ?? []).map((comparison) => {
    const [, operator = "", version = ""] = /^([=!<>^~]+) *(.*)$/.exec(comparison) ?? [];
    return { sem_ver: [{ var: "app_version" }, operator, version] };
  });
  const seconds = (time: string) => Date.parse(time) / 1_000;
  return [
    ...lists,
    ...(rule.from === undefined ? [] : [{ ">=": [{ var: timestamp }, seconds(rule.from)] }]),
    ...(rule.until === undefined ? [] : [{ "<": [{ var: timestamp }, seconds(rule.until)] }]),
    ...versions,
  ];
}

/** What is not supported, or is no flag, each with its place. */
export class UnsupportedFlags extends Error {
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

/** The definitions that flagd's JSON holds. Throws UnsupportedFlags, which names every place that is not supported. */
export function flagsIn(document: Json): FlagDefinition[] {
  const problems: string[] = [];
  const refuse = (place: string, why: string) => void problems.push(`${place}: ${why}`);
  if (!isObject(document) || !isObject(document.flags)) throw new UnsupportedFlags(["flags: is missing"]);
  for (const name of Object.keys(document)) {
    if (!["$schema", "flags"].includes(name)) refuse(name, "is not supported");
  }
  const flags = Object.entries<Json>(document.flags).map(([key, flag]) => readFlag(key, flag, refuse));
  if (problems.length > 0) throw new UnsupportedFlags(problems);
  return flags;
}

type Refuse = (place: string, why: string) => void;

const isObject = (value: Json): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function readFlag(key: string, flag: Json, refuse: Refuse): FlagDefinition {
  const place = `flags.${key}`;
  const { state, variants, defaultVariant, targeting, metadata = {}, ...others } = isObject(flag) ? flag : {};
  for (const name of Object.keys(others)) refuse(`${place}.${name}`, "is not supported");
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(key)) {
    refuse(place, "a key is 1 to 100 of A-Z, a-z, 0-9, and ._- after the first");
  }
  if (state !== "ENABLED" && state !== "DISABLED") refuse(`${place}.state`, "must be ENABLED or DISABLED");
  const values: Json[] = isObject(variants) ? Object.values(variants) : [];
  const [type, ...otherTypes] = [
    ...new Set(values.map((value) => isObject(value) ? "object" : typeof value)),
  ];
  const isKnown = type === "boolean" || type === "string" || type === "number" || type === "object";
  if (!isKnown || otherTypes.length > 0 || values.some(Array.isArray)) {
    refuse(`${place}.variants`, "must be values of one type: boolean, string, number or object");
  }
  const isVariant = (name: Json) => typeof name === "string" && Object.hasOwn(variants ?? {}, name);
  if (!isVariant(defaultVariant)) refuse(`${place}.defaultVariant`, "must be one of the variants");
  const { description = null, offVariant = null, isExperiment = false, isSwitch = false, ...unknown } =
    isObject(metadata) ? metadata : {};
  if (!isObject(metadata)) refuse(`${place}.metadata`, "must be an object");
  for (const name of Object.keys(unknown)) refuse(`${place}.metadata.${name}`, "is not supported");
  for (const [name, value] of Object.entries({ isExperiment, isSwitch })) {
    if (typeof value !== "boolean") refuse(`${place}.metadata.${name}`, "must be true or false");
  }
  if (description !== null && typeof description !== "string") {
    refuse(`${place}.metadata.description`, "must be a text");
  }
  if (offVariant !== null && !isVariant(offVariant)) {
    refuse(`${place}.metadata.offVariant`, "must be one of the variants");
  }
  const isNothing = targeting === undefined || isObject(targeting) && Object.keys(targeting).length === 0;
  return {
    key,
    type: isKnown ? type : "boolean",
    is_enabled: state === "ENABLED",
    is_switch: isSwitch === true,
    is_experiment: isExperiment === true,
    variants,
    default_variant: defaultVariant,
    off_variant: offVariant,
    rules: isNothing ? [] : readTargeting(targeting, `${place}.targeting`, { refuse, isVariant }),
    description,
  };
}

interface Reading {
  readonly refuse: Refuse;
  readonly isVariant: (name: Json) => boolean;
}

/** The one operation that a JSONLogic expression is, and its arguments. */
function operationOf(expression: Json): [name: string, args: Json[]] | null {
  if (!isObject(expression)) return null;
  const [[name, args] = [], ...others] = Object.entries<Json>(expression);
  return name === undefined || others.length > 0 ? null : [name, Array.isArray(args) ? args : [args]];
}

function readTargeting(targeting: Json, place: string, reading: Reading): FlagRule[] {
  const [name, args] = operationOf(targeting) ?? [];
  if (name === "fractional") return [readOutcome(targeting, place, reading)];
  if (name !== "if" || args === undefined) {
    reading.refuse(place, "must be an if or a fractional");
    return [];
  }
  const rules: FlagRule[] = [];
  for (let index = 0; index < args.length; index += 2) {
    const isElse: boolean = index === args.length - 1;
    const conditions = isElse ? {} : readCondition(args[index], `${place}.if[${index}]`, reading);
    const at: number = isElse ? index : index + 1;
    // As if there were no else.
    if (isElse && args[at] === null) continue;
    rules.push({ ...conditions, ...readOutcome(args[at], `${place}.if[${at}]`, reading) });
  }
  return rules;
}

function readOutcome(outcome: Json, place: string, { refuse, isVariant }: Reading): FlagRule {
  if (typeof outcome === "string") {
    if (!isVariant(outcome)) refuse(place, `${outcome} is none of the variants`);
    return { variant: outcome };
  }
  const [name, buckets] = operationOf(outcome) ?? [];
  if (name !== "fractional" || buckets === undefined) {
    refuse(place, "must be a variant or a fractional");
    return {};
  }
  const split = buckets.map((bucket, index) => {
    const at = `${place}.fractional[${index}]`;
    const [variant, weight = 1, ...more] = Array.isArray(bucket) ? bucket : [];
    if (!Array.isArray(bucket)) refuse(at, "another key than the flag's and the user's is not supported");
    else if (more.length > 0) refuse(at, "must be a variant and a weight");
    else if (!isVariant(variant)) refuse(at, "must name one of the variants");
    else if (!Number.isInteger(weight) || weight < 0 || weight > 999_999) {
      refuse(at, "must have a whole weight from 0 to 999999");
    }
    return { variant, weight };
  });
  return { split };
}

function readCondition(condition: Json, place: string, reading: Reading): FlagRule {
  if (condition === true) return {};
  const [name, args] = operationOf(condition) ?? [];
  // An `and` of nothing holds for nobody.
  if (name !== "and" || args === undefined || args.length === 0) {
    return readComparison(condition, place, reading);
  }
  const conditions: FlagRule = {};
  for (const [index, part] of args.entries()) {
    const at = `${place}.and[${index}]`;
    const read = readComparison(part, at, reading);
    for (const [member, value] of Object.entries<Json>(read)) {
      const before: Json = Object.entries(conditions).find(([each]) => each === member)?.[1];
      if (before === undefined) Object.assign(conditions, read);
      else if (member === "app_versions") Object.assign(conditions, { app_versions: [...before, ...value] });
      else reading.refuse(at, `a second condition about ${member} is not supported`);
    }
  }
  return conditions;
}

function readComparison(expression: Json, place: string, { refuse }: Reading): FlagRule {
  const [name = "", args = []] = operationOf(expression) ?? [];
  const [subject, ...others] = args;
  const [variable, [asked, ...otherwise] = []] = operationOf(subject) ?? [];
  const list = Object.entries(attributes).find(([, attribute]) => attribute === asked)?.[0];
  if (variable === "var" && typeof asked === "string" && otherwise.length === 0) {
    const [first, second] = others;
    const items = name === "==" ? [first] : first;
    const areTexts = Array.isArray(items) && items.every((item) => typeof item === "string");
    if ((name === "in" || name === "==") && list !== undefined && others.length === 1 && areTexts) {
      return { [list]: items };
    }
    const isComparison = versionOperators.includes(first) && typeof second === "string" &&
      /^[^ =<>~^]/.test(second);
    if (name === "sem_ver" && asked === "app_version" && isComparison && others.length === 2) {
      return { app_versions: [`${first}${second}`] };
    }
    const time = asked === timestamp && others.length === 1 ? timeOf(first) : null;
    if (time !== null && name === ">=") return { from: time };
    if (time !== null && name === "<") return { until: time };
  }
  refuse(
    place,
    `${
      name === "" ? "this" : name
    } is not supported: it may be true, an and of conditions, in or == of targetingKey, platform or locale, ` +
      `sem_ver of app_version, >= or < of ${timestamp}`,
  );
  return {};
}

/** Null for what is no time of four digits' years, to the millisecond. */
function timeOf(seconds: Json): string | null {
  if (typeof seconds !== "number") return null;
  const time = new Date(Math.round(seconds * 1_000));
  const isExact = time.getTime() / 1_000 === seconds && /^\d{4}$/.test(`${time.getUTCFullYear()}`);
  return isExact ? time.toISOString() : null;
}
