/**
 * Structured logging: one JSON line an event, redacted, at most 10,000 characters long. The only file that may
 * use console.
 */
import { redactText, redactValue } from "./redaction.ts";

const levels = ["debug", "info", "warn", "error", "critical"] as const;
export type LogLevel = (typeof levels)[number];
export const logLevels: readonly LogLevel[] = levels;

export type Fields = Readonly<Record<string, unknown>>;

/**
 * A logger never throws. An event is a name in snake_case, such as `request` or `submission_unknown`; what
 * belongs to it goes into the fields, where errors may be put as they are.
 */
export interface Logger {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  critical(event: string, fields?: Fields): void;
  /** A logger whose lines all carry these fields as well. */
  child(fields: Fields): Logger;
}

export interface LoggerOptions {
  readonly write: (line: string, level: LogLevel) => void;
  /** Events below it are not written. */
  readonly level: LogLevel;
  readonly base?: Fields;
  readonly now: () => number;
}

/** The platform cuts a line at 10,000 characters, which would leave broken JSON. */
const maxLineLength = 10_000;

export function createLogger({ write, level: lowest, base = {}, now }: LoggerOptions): Logger {
  const log = (level: LogLevel) => (event: string, fields: Fields = {}) => {
    if (levels.indexOf(level) < levels.indexOf(lowest)) return;
    write(line(level, event, { ...base, ...fields }, now()), level);
  };
  return {
    debug: log("debug"),
    info: log("info"),
    warn: log("warn"),
    error: log("error"),
    critical: log("critical"),
    child: (fields) => createLogger({ write, level: lowest, base: { ...base, ...fields }, now }),
  };
}

function line(level: LogLevel, event: string, fields: Fields, now: number): string {
  const head = { timestamp: new Date(now).toISOString(), level, event: redactText(event) };
  try {
    const whole = JSON.stringify({ ...head, ...redactFields(fields) });
    if (whole.length <= maxLineLength) return whole;
    // The short fields say which request it was; a long one is usually an error with its causes.
    const entries = Object.entries(redactFields(fields)).map(([key, value]) => {
      const text = JSON.stringify(value) ?? "";
      return [key, text.length > 500 ? `${text.slice(0, 500)}… [cut]` : value];
    });
    const shortened = JSON.stringify({ ...head, ...Object.fromEntries(entries) });
    return shortened.length <= maxLineLength ? shortened : JSON.stringify({ ...head, cut: true });
  } catch {
    // A getter or toJSON of a logged value threw. What is logged must not decide what happens.
    return JSON.stringify({ ...head, unserialisable: true });
  }
}

function redactFields(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, redactValue(key, value)]));
}

/** Writes to the platform's log, which takes the severity from the console's method. */
export function writeToConsole(line: string, level: LogLevel): void {
  if (level === "critical" || level === "error") console.error(line);
  else if (level === "warn") console.warn(line);
  else console.log(line);
}
