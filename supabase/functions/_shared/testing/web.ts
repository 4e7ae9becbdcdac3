import type { Connection, PublicWeb } from "../platform/public-web.ts";

/** What a host answers: bytes as they come over the connection, text or raw; without an end where `goesOn`. */
export interface FakeAnswer {
  readonly pieces: readonly (string | Uint8Array)[];
  readonly goesOn?: boolean;
}

export interface FakeWeb extends PublicWeb {
  /** In their order: look-ups, connections to addresses, and what was asked. */
  readonly events: string[];
  /** All that was written to the hosts. */
  sent(): string;
  /** How many connections were not closed. */
  open(): number;
}

export interface FakeWorld {
  /** The addresses of each name, or what looking it up throws. */
  readonly names?: Readonly<Record<string, string[] | Error>>;
  /** What one connection after the other brings; none is to be had beyond them. */
  readonly answers?: readonly (FakeAnswer | Error)[];
}

/** A web in memory. */
export function fakeWeb({ names = {}, answers = [] }: FakeWorld = {}): FakeWeb {
  const events: string[] = [];
  const left = [...answers];
  let open = 0;
  let sent = "";
  return {
    events,
    sent: () => sent,
    open: () => open,
    resolve(name) {
      events.push(`resolve ${name}`);
      const addresses = names[name] ?? [];
      return addresses instanceof Error ? Promise.reject(addresses) : Promise.resolve(addresses);
    },
    connect(address, name) {
      events.push(`connect ${address} ${name}`);
      const answer = left.shift() ?? new Error("nobody listens");
      if (answer instanceof Error) return Promise.reject(answer);
      open += 1;
      return Promise.resolve(connectionOf(answer, (text) => {
        events.push(text.split("\r\n")[0] ?? "");
        sent += text;
      }, () => open -= 1));
    },
  };
}

function connectionOf(
  { pieces, goesOn = false }: FakeAnswer,
  written: (text: string) => void,
  closed: () => void,
): Connection {
  const encoder = new TextEncoder();
  const left = pieces.map((piece) => typeof piece === "string" ? encoder.encode(piece) : piece);
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  let isClosed = false;
  return {
    async read(into) {
      const piece = left.shift();
      if (piece === undefined) return goesOn ? await ended.promise : null;
      into.set(piece.subarray(0, into.length));
      if (piece.length > into.length) left.unshift(piece.subarray(into.length));
      return Math.min(piece.length, into.length);
    },
    write(bytes) {
      written(new TextDecoder().decode(bytes));
      return Promise.resolve(bytes.length);
    },
    close() {
      if (isClosed) throw new Deno.errors.BadResource("Bad resource ID");
      isClosed = true;
      closed();
      ended.reject(new Deno.errors.BadResource("Bad resource ID"));
    },
  };
}
