/**
 * Loaded before each test file, for `deno test` knows no deadline but that of a test which asks for one: gives one to every
 * test, to every hook and to the loading of the file. The address with which it is loaded says how long:
 * `deadline.ts?milliseconds=1000`.
 *
 * What is late fails by its name, and the tests after it run. Only a loop that never yields, in a hook or while a file is
 * loaded, is left for the limit of the whole run.
 */
import vm from "node:vm";

const milliseconds = Number(new URL(import.meta.url).searchParams.get("milliseconds"));
if (!(milliseconds > 0)) throw new Error("deadline.ts is loaded without its milliseconds");

type Hook = () => void | Promise<void>;
/** All ways to declare a test take its options, where there are some, as an object. */
type Declaration = readonly unknown[];

/** The same declaration with the deadline, but for a test that has one of its own. */
function withDeadline(given: Declaration): Declaration {
  const place = given.findIndex((argument) => typeof argument === "object");
  if (place === -1) return [...given.slice(0, -1), { timeout: milliseconds }, ...given.slice(-1)];
  return given.with(place, { timeout: milliseconds, ...Object(given[place]) });
}

/** The hook, failing when it is late. */
function inTime(name: string, hook: Hook): Hook {
  return async () => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`${name} of ${Deno.mainModule} was not done within ${milliseconds} ms`)),
      milliseconds,
    );
    try {
      await Promise.race([hook(), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Where a test is declared is the first caller that is not of Deno itself, which it tells by a name that begins like this. */
const declare = vm.runInThisContext(
  "(test, withDeadline) => function declareTest(...given) { test(...withDeadline(given)); }",
  { filename: "ext:kinora/deadline" },
);
const { beforeAll, beforeEach, afterEach, afterAll } = Deno.test;

const loading = setTimeout(() => {
  throw new Error(`${Deno.mainModule} was not loaded within ${milliseconds} ms`);
}, milliseconds);
Deno.unrefTimer(loading);
beforeAll(() => clearTimeout(loading));

Object.assign(Deno, {
  test: Object.assign(declare(Deno.test, withDeadline), Deno.test, {
    beforeAll: (hook: Hook) => beforeAll(inTime("beforeAll", hook)),
    beforeEach: (hook: Hook) => beforeEach(inTime("beforeEach", hook)),
    afterEach: (hook: Hook) => afterEach(inTime("afterEach", hook)),
    afterAll: (hook: Hook) => afterAll(inTime("afterAll", hook)),
  }),
});
