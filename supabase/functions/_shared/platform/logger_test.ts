import assert from "node:assert/strict";
import { createLogger, type LogLevel, writeToConsole } from "./logger.ts";
import { recordingLogger } from "../testing/log.ts";

Deno.test("an event is one JSON line with time, level, name and fields", () => {
  const written: [string, LogLevel][] = [];
  const log = createLogger({
    write: (line, level) => written.push([line, level]),
    level: "info",
    base: { endpoint: "models" },
    now: () => Date.parse("2026-11-20T12:00:00.123Z"),
  });
  log.child({ request_id: "r-1" }).warn("slow", { text: "two\nlines", duration_ms: 12.5 });
  assert.equal(written.length, 1);
  const [line, level] = written[0] ?? ["", "debug"];
  assert.equal(level, "warn");
  assert(!line.includes("\n"));
  assert.deepEqual(JSON.parse(line), {
    timestamp: "2026-11-20T12:00:00.123Z",
    level: "warn",
    event: "slow",
    endpoint: "models",
    request_id: "r-1",
    text: "two\nlines",
    duration_ms: 12.5,
  });
});

Deno.test("events below the level are not written", () => {
  const written: string[] = [];
  const log = createLogger({
    write: (line) => written.push(JSON.parse(line).event),
    level: "warn",
    now: () => 0,
  });
  for (const level of ["debug", "info", "warn", "error", "critical"] as const) log[level](level);
  assert.deepEqual(written, ["warn", "error", "critical"]);
});

Deno.test("an error is logged with name, code, message, stack and its causes", () => {
  const { log, lines } = recordingLogger();
  const cause = Object.assign(new TypeError("socket closed for a@example.com"), { code: "ECONNRESET" });
  log.error("failed", { error: new Error("outer", { cause }) });
  const { error } = JSON.parse(JSON.stringify(lines[0]));
  assert.deepEqual([error.name, error.message], ["Error", "outer"]);
  assert.match(error.stack, /logger_test/);
  assert.deepEqual([error.cause.name, error.cause.code], ["TypeError", "ECONNRESET"]);
  assert.equal(error.cause.message, "socket closed for [redacted]");
});

Deno.test("a line never exceeds what the platform keeps, and still says which request it was", () => {
  const written: string[] = [];
  const log = createLogger({ write: (line) => written.push(line), level: "debug", now: () => 0 });
  const many = Object.fromEntries(
    Array.from({ length: 9 }, (_, index) => [`f${index}`, "long ".repeat(700)]),
  );
  log.error("huge", { request_id: "r-1", ...many });
  log.error(
    "monstrous",
    Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`f${index}`, "short"])),
  );
  for (const line of written) assert(line.length <= 10_000, `${line.length} characters`);
  assert.equal(JSON.parse(written[0] ?? "").request_id, "r-1");
  assert.equal(JSON.parse(written[1] ?? "").event, "monstrous");
});

Deno.test("whatever is logged, the logger does not throw and writes one line", () => {
  const { log, lines } = recordingLogger();
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const endless = new Error("endless");
  endless.cause = endless;
  const hostile = {
    get field(): never {
      throw new Error("a getter");
    },
  };
  const values = [
    circular,
    endless,
    hostile,
    10n,
    Symbol("s"),
    () => 0,
    new Uint8Array(3),
    new Date(0),
    undefined,
    NaN,
  ];
  for (const value of values) log.info("odd", { value });
  assert.equal(lines.length, values.length);
  assert.deepEqual(lines[0]?.value, { self: "[circular]" });
  assert.equal(lines[2]?.unserialisable, true);
  assert.equal(lines[6]?.value, "[3 bytes]");
});

Deno.test("the console's method carries the severity to the platform", () => {
  const original = { log: console.log, warn: console.warn, error: console.error };
  const calls: string[] = [];
  try {
    console.log = () => calls.push("log");
    console.warn = () => calls.push("warn");
    console.error = () => calls.push("error");
    for (const level of ["debug", "info", "warn", "error", "critical"] as const) writeToConsole("", level);
  } finally {
    Object.assign(console, original);
  }
  assert.deepEqual(calls, ["log", "log", "warn", "error", "error"]);
});
