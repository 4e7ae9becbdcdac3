import { createLogger, type Logger } from "../platform/logger.ts";

export type LogLine = Record<string, unknown>;

/** A logger whose lines a test can read, at every level. */
export function recordingLogger(now: () => number = () => 0): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  return { log: createLogger({ write: (line) => lines.push(JSON.parse(line)), level: "debug", now }), lines };
}
