export type LogLevel = "debug" | "info" | "warning" | "error" | "critical";

export type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warning(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  critical(event: string, fields?: Fields): void;
  /** A logger whose lines all carry these fields as well. */
  child(fields: Fields): Logger;
}
