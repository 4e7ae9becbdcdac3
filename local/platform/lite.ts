/**
 * Supabase Lite, which stands in for PostgREST and Storage, with what it lacks to behave as they do. The part of the
 * hosted platform that knows callers and keys is in front of it, in gateway.ts: Lite is told who calls, and asks nobody.
 */
import { App, type IAppConfig, setExperimental } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import { Kysely, PostgresDialect } from "kysely";
// @ts-types="@types/pg"
import type pg from "pg";
import { asPostgrestError, databaseUnavailable } from "./lite-errors.ts";
import { settingsTogether } from "./transaction-settings.ts";

/** Whom a request acts for: the claims of a user's token, or those that an API key stands for. */
export interface Caller {
  /** The kind of API key that came with the request. */
  key: "publishable" | "secret";
  claims: { role: string; [claim: string]: unknown };
}

/** Where Lite keeps the bytes of the objects whose rows it writes. */
export type ObjectStore = NonNullable<App["_storageAdapter"]>;

export interface Lite {
  /** Answers a request under /rest/v1 or /storage/v1, which must have an `apikey` and no `authorization` header. */
  fetch(request: Request, caller: Caller): Promise<Response>;
  /** Reads the database's schema anew, as PostgREST does on NOTIFY pgrst. */
  reloadSchema(): Promise<void>;
}

export interface LiteOptions {
  /** The connections of the service that Lite stands in for; each becomes the role of its request. */
  pool: pg.Pool;
  /** The owner's connections, which read the schema. */
  catalogue: pg.Pool;
  objects: ObjectStore;
  /** The HS256 key that signs the URLs of objects. */
  storageSecret: string;
}

/** As config.toml says. */
const exposedSchema = "api";

/** Starts nothing and connects to nothing before the first request. */
export function createLite({ pool, catalogue, objects, storageSecret }: LiteOptions): Lite {
  const connection = connect(pool);
  // It looks for tables where Postgres shows a role those that it may use, and the service may use none by itself. PostgREST
  // finds all of them, and leaves it to Postgres to refuse.
  const reader = connect(catalogue);
  connection.introspect = async (options) => withoutOthers(await reader.introspect(options));
  // With its state "unknown", Lite would grant all on every schema with row-level security to every API role.
  Reflect.set(connection, "rlsState", "active");
  connection.normalizeDbError = (error) => asPostgrestError(error);

  const callers = new WeakMap<Request, Caller>();
  const config: IAppConfig = {
    connection,
    api: { enabled: true, schemas: [exposedSchema] },
    // Its secret signs the URLs of objects. No request reaches Lite's own /auth/v1.
    auth: { enabled: false, jwt_secret: storageSecret },
    storage: { enabled: true, file_size_limit: "500MiB" },
    db: { migrations: { enabled: false } },
    options: {
      server: {
        disableStudio: true,
        disableFallback: true,
        apiKeys: {
          resolver: (_key, { req }) => {
            const caller = callers.get(req.raw);
            return Promise.resolve(caller === undefined ? null : { type: caller.key, claims: caller.claims });
          },
        },
      },
    },
  };
  setExperimental("storage", true);
  const app = new App(config);
  app._storageAdapter = objects;

  return {
    async fetch(original, caller) {
      const request = withProfile(original);
      callers.set(request, caller);
      try {
        // Lite takes a schema that it cannot read for an empty one, and would answer that there is no such procedure.
        const schema = await connection.introspect({ useCache: true });
        if (schema.functions === undefined) return databaseUnavailable();
      } catch {
        return databaseUnavailable();
      }
      return await app.fetch(request);
    },
    reloadSchema: () => reader.clearSchemaCache(),
  };
}

/** A connection of Lite's, on this pool. */
function connect(pool: pg.Pool): ReturnType<typeof createPostgresConnection> {
  const connection = createPostgresConnection({});
  // Lite's own driver, postgres.js, reserves a connection for each request, and a reserved one that is lost never
  // answers again: each request in flight would hang, and take its caller along. It also encodes jsonb twice.
  connection.kysely = new Kysely({ dialect: new PostgresDialect({ pool: settingsTogether(pool) }) });
  return connection;
}

type Catalogue = Awaited<ReturnType<ReturnType<typeof connect>["introspect"]>>;

/** What `withoutOthers` made of a catalogue; Lite keeps one, until it is told to read it anew. */
const shortened = new WeakMap<Catalogue, Catalogue>();

/** The relations that a request can be about: those of the Data API, and Storage's own. */
const askedFor = [exposedSchema, "storage"];

/**
 * A catalogue without the relations that no request can be about. Lite goes through every column at every request, and
 * through its view's text, which was a tenth of the gateway's CPU time.
 */
function withoutOthers(catalogue: Catalogue): Catalogue {
  const known = shortened.get(catalogue);
  if (known !== undefined) return known;
  const isAskedFor = ({ schema = "" }: { schema?: string }) => askedFor.includes(schema);
  const { tables, columns, views } = catalogue;
  const some = {
    ...catalogue,
    tables: tables.filter(isAskedFor),
    columns: columns.filter(isAskedFor),
    views: views.filter(isAskedFor),
  };
  shortened.set(catalogue, some);
  return some;
}

/** A request to the Data API that names no schema means the exposed one there, and `public` to Lite, exposed or not. */
function withProfile(request: Request): Request {
  if (!new URL(request.url).pathname.startsWith("/rest/v1/")) return request;
  const header = ["GET", "HEAD"].includes(request.method) ? "accept-profile" : "content-profile";
  if (request.headers.has(header)) return request;
  const headers = new Headers(request.headers);
  headers.set(header, exposedSchema);
  return new Request(request, { headers });
}
