/**
 * Realtime as a hosted project has it that allows private channels only: WebSockets at /realtime/v1/websocket, on which a
 * client joins the channels that the policies on `realtime.messages` let it hear, and is told what the database sends there.
 *
 * A client that is connected has missed nothing: when notifications of the database were lost, all connections end.
 */
// @ts-types="@types/pg"
import type pg from "pg";
import { AuthError, type Tokens } from "../auth/tokens.ts";
import type { Caller } from "../lite.ts";
import { mayListen, maySend } from "./authorization.ts";
import { type Authority, Connection, type Limits, platformLimits, Refusal } from "./connection.ts";
import { followMessages, type Messages } from "./messages.ts";
import { type Broadcast, versions } from "./protocol.ts";

export interface Realtime {
  /** Answers a request for a WebSocket of this caller. Throws nothing: after an upgrade that would end the process. */
  connect(request: Request, url: URL, caller: Caller): Response;
}

/** Milliseconds for which a join waits for the database: less than the ten seconds after which supabase-js gives it up. */
const readyTimeout = 5_000;

/** Connects to the database when the first client comes. */
export function createRealtime(pool: pg.Pool, tokens: Tokens, limits: Limits = platformLimits): Realtime {
  const connections = new Set<Connection>();
  let messages: Messages | undefined;

  function tell(topic: string, broadcast: Broadcast, from?: Connection): void {
    for (const connection of connections) connection.deliver(topic, broadcast, from);
  }

  function follow(): Messages {
    return followMessages(
      pool,
      ({ id, topic, event, payload, size }) => {
        if (size <= limits.messageBytes) return tell(topic, { id, event, payload });
        console.error(`Realtime, ${topic}: a message of ${size} bytes is too big, and is told nobody`);
      },
      () => {
        for (const connection of connections) connection.close(1012, "The database is away");
      },
    );
  }

  const authority: Authority = {
    async claimsOf(token) {
      try {
        return await tokens.verify(token);
      } catch (error) {
        if (!(error instanceof AuthError)) throw error;
        throw new Refusal(
          error.message.endsWith("expired")
            ? "InvalidJWTToken: Token has expired"
            : "MalformedJWT: The token provided is not a valid JWT",
        );
      }
    },
    async ready() {
      messages ??= follow();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const away = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Refusal("DatabaseUnavailable: The database is away")),
          readyTimeout,
        );
      });
      await Promise.race([messages.listening(), away]).finally(() => clearTimeout(timer));
    },
    mayListen: (topic, claims) => mayListen(pool, topic, claims),
    maySend: (topic, claims) => maySend(pool, topic, claims),
    send: tell,
  };

  return {
    connect(request, url, { claims }) {
      const version = versions.find((one) => one === (url.searchParams.get("vsn") ?? versions[0]));
      // Deno itself asks for no method.
      if (request.method !== "GET") return refused(405, "A WebSocket begins with GET", { allow: "GET" });
      if (version === undefined) return refused(400, "There is no such version of the protocol");
      try {
        const { socket, response } = Deno.upgradeWebSocket(request);
        const connection = new Connection(socket, version, claims, authority, limits);
        socket.addEventListener("open", () => connections.add(connection));
        socket.addEventListener("close", () => connections.delete(connection));
        return response;
      } catch {
        return refused(426, "A WebSocket is wanted here", { upgrade: "websocket" });
      }
    },
  };
}

function refused(status: number, message: string, headers: HeadersInit = {}): Response {
  return Response.json({ message }, { status, headers });
}
