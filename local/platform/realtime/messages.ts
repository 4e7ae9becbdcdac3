/** What is sent from the database, heard in the order in which its transactions were committed. */
// @ts-types="@types/pg"
import type pg from "pg";
import { listen } from "../pool.ts";
import { notification } from "./schema.ts";

/** A row of `realtime.messages` for a private channel. */
export interface StoredMessage {
  id: string;
  topic: string;
  event: string;
  payload: unknown;
  /** Bytes of the payload as JSON. */
  size: number;
}

export interface Messages {
  /** Resolves when every message that is committed from now on will be told; at once, where it is so already. */
  listening(): Promise<void>;
}

/** Rows that are fetched at once: each may have 256 kB. */
const batch = 50;

/** Follows them for as long as the process lives. `onLost` is called when some may have been missed. */
export function followMessages(
  pool: pg.Pool,
  onMessage: (message: StoredMessage) => void,
  onLost: () => void,
): Messages {
  let listening = Promise.withResolvers<void>();
  const ids: string[] = [];
  let isFetching = false;

  async function fetchAll(): Promise<void> {
    if (isFetching) return;
    isFetching = true;
    try {
      while (ids.length > 0) {
        const some = ids.splice(0, batch);
        const { rows } = await pool.query<StoredMessage>(
          `select m.id, m.topic, m.event, m.payload, octet_length(m.payload::text) as size
           from unnest($1::uuid[]) with ordinality as n (id, place) join realtime.messages as m on m.id = n.id
           order by n.place`,
          [some],
        );
        for (const message of rows) onMessage(message);
      }
    } catch {
      // The database is away, and its notifications with it.
      ids.length = 0;
      onLost();
    } finally {
      isFetching = false;
    }
  }

  void listen(pool, notification, {
    onNotify(id) {
      ids.push(id);
      void fetchAll();
    },
    onListening() {
      listening.resolve();
      void forget(pool);
    },
    onLost() {
      listening = Promise.withResolvers();
      onLost();
    },
  });
  return { listening: () => listening.promise };
}

/** The platform keeps a message for three days. */
async function forget(pool: pg.Pool): Promise<void> {
  await pool.query("delete from realtime.messages as m where m.inserted_at < now() - interval '72 hours'")
    .catch(() => {});
}
