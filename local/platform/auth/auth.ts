/**
 * Supabase Auth, as far as Kinora's clients and functions use it: anonymous users, those whom the operator gives a password,
 * sessions with rotating refresh tokens, and the admin's part. Lite has neither anonymous users nor the admin's part, and its
 * tokens lack most of the platform's claims. The routes, claims and errors are those of github.com/supabase/auth.
 */
// @ts-types="@types/pg"
import type pg from "pg";
import { tryParseJson } from "../../../supabase/functions/_shared/platform/json.ts";
import { accessTokenSeconds, AuthError, type Session, type Tokens, type User } from "./tokens.ts";
import type { Caller } from "../lite.ts";
import { transaction } from "../pool.ts";

/** The platform's default: a client whose two requests refresh at once does not lose its session. */
const reuseSeconds = 10;

export interface Auth {
  /** Answers a request under /auth/v1. `claims` are those of its API key or of its user's token. */
  fetch(request: Request, url: URL, claims: Caller["claims"]): Promise<Response>;
}

/** A user as clients see it. */
const userObject = `jsonb_build_object(
  'id', u.id, 'aud', u.aud, 'role', u.role, 'email', coalesce(u.email, ''), 'phone', coalesce(u.phone, ''),
  'email_confirmed_at', u.email_confirmed_at, 'last_sign_in_at', u.last_sign_in_at, 'banned_until', u.banned_until,
  'app_metadata', u.raw_app_meta_data, 'user_metadata', u.raw_user_meta_data, 'identities', '[]'::jsonb,
  'created_at', u.created_at, 'updated_at', u.updated_at, 'is_anonymous', u.is_anonymous)`;

/** The columns that make a Session of `auth.sessions s` and `auth.users u`. */
const sessionObject =
  `s.id, floor(extract(epoch from s.created_at))::int as started, coalesce(s.aal, 'aal1') as aal, ${userObject} as "user"`;

/** Serves from the `auth` schema of the pool's database, with the tokens that `tokens` signs. */
export function createAuth(pool: pg.Pool, tokens: Tokens): Auth {
  async function tokenResponse(session: Session, refreshToken: string): Promise<Response> {
    const { token, expiresAt } = await tokens.sign(session);
    return Response.json({
      access_token: token,
      token_type: "bearer",
      expires_in: accessTokenSeconds,
      expires_at: expiresAt,
      refresh_token: refreshToken,
      user: session.user,
    });
  }

  /** Starts a session of a user who has just proved who they are. */
  async function signIn(userId: string): Promise<Response> {
    const refreshToken = newRefreshToken();
    const { rows: [session] } = await pool.query<Session>(
      `with u as (update auth.users set last_sign_in_at = now() where id = $1 returning *),
            s as (insert into auth.sessions (id, user_id, aal) select $2, u.id, 'aal1' from u returning *),
            t as (insert into auth.refresh_tokens (id, token, user_id, session_id)
                  select gen_random_uuid(), $3, s.user_id, s.id from s)
       select ${sessionObject} from s join u on u.id = s.user_id`,
      [userId, crypto.randomUUID(), refreshToken],
    );
    if (session === undefined) throw new AuthError(404, "user_not_found", "User not found");
    return await tokenResponse(session, refreshToken);
  }

  async function createUser(user: NewUser): Promise<User> {
    const { rows: [row] } = await pool.query<{ user: User }>(
      `with u as (
         insert into auth.users (id, is_anonymous, email, encrypted_password, email_confirmed_at, raw_user_meta_data, raw_app_meta_data)
         values ($1, $2, lower($3), extensions.crypt($4, extensions.gen_salt('bf', 4)), case when $2 then null else now() end, $5, $6)
         on conflict do nothing returning *)
       select ${userObject} as "user" from u`,
      [
        crypto.randomUUID(),
        user.email === undefined,
        user.email,
        user.password,
        user.data ?? {},
        user.email === undefined ? {} : { provider: "email", providers: ["email"] },
      ],
    );
    if (row === undefined) {
      throw new AuthError(422, "email_exists", "A user with this email address has already been registered");
    }
    return row.user;
  }

  async function passwordGrant(body: Body): Promise<Response> {
    const { rows: [user] } = await pool.query<{ id: string; banned: boolean }>(
      `select id, coalesce(banned_until > now(), false) as banned from auth.users
        where email = lower($1) and encrypted_password = extensions.crypt($2, encrypted_password)`,
      [textOf(body.email), textOf(body.password)],
    );
    if (user === undefined) throw new AuthError(400, "invalid_credentials", "Invalid login credentials");
    if (user.banned) throw new AuthError(400, "user_banned", "User is banned");
    return await signIn(user.id);
  }

  /** Rotates: each refresh token is good once, and one that comes back late ends its session's tokens. */
  async function refreshGrant(body: Body): Promise<Response> {
    const given = textOf(body.refresh_token);
    const outcome = await transaction(pool, async (client) => {
      const { rows: [found] } = await client.query<
        Session & {
          revoked: boolean;
          reusable: boolean;
          banned: boolean;
          active: string | null;
          activeParent: string | null;
        }
      >(
        `select ${sessionObject}, t.revoked, t.updated_at > now() - make_interval(secs => $2) as reusable,
                coalesce(u.banned_until > now(), false) as banned, a.token as active, a.parent as "activeParent"
           from auth.refresh_tokens t join auth.sessions s on s.id = t.session_id join auth.users u on u.id = s.user_id
           left join lateral (select token, parent from auth.refresh_tokens
                               where session_id = s.id and not revoked order by created_at desc limit 1) a on true
          where t.token = $1 for update of s, t`,
        [given, reuseSeconds],
      );
      const refuse = (code: string, why: string) => new AuthError(400, code, `Invalid Refresh Token: ${why}`);
      if (found === undefined) return refuse("refresh_token_not_found", "Refresh Token Not Found");
      if (found.banned) return refuse("user_banned", "User Banned");
      if (found.revoked && found.active !== null && found.activeParent === given) {
        // The client never got the answer to its refresh.
        return { session: found, refreshToken: found.active };
      }
      if (found.revoked && !found.reusable) {
        await client.query("update auth.refresh_tokens set revoked = true where session_id = $1", [found.id]);
        return refuse("refresh_token_already_used", "Already Used");
      }
      const refreshToken = newRefreshToken();
      await client.query(
        `with old as (update auth.refresh_tokens set revoked = true, updated_at = now() where token = $1),
              refreshed as (update auth.sessions set refreshed_at = now() at time zone 'utc' where id = $4)
         insert into auth.refresh_tokens (id, token, parent, user_id, session_id)
         values (gen_random_uuid(), $2, $1, $3, $4)`,
        [given, refreshToken, found.user.id, found.id],
      );
      return { session: found, refreshToken };
    });
    if (outcome instanceof AuthError) throw outcome;
    return await tokenResponse(outcome.session, outcome.refreshToken);
  }

  /** The user of a token, if both the user and the token's session still exist. */
  async function currentUser(claims: Caller["claims"]): Promise<User> {
    if (typeof claims.session_id !== "string") {
      throw new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
    }
    const { rows: [row] } = await pool.query<{ user: User; session: string | null; banned: boolean }>(
      `select ${userObject} as "user", s.id as session, coalesce(u.banned_until > now(), false) as banned
         from auth.users u left join auth.sessions s on s.id = $2 and s.user_id = u.id where u.id = $1`,
      [claims.sub, claims.session_id],
    );
    if (row === undefined) {
      throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
    }
    if (row.session === null) {
      throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
    }
    if (row.banned) throw new AuthError(403, "user_banned", "User is banned");
    return row.user;
  }

  async function signOut(claims: Caller["claims"], scope: string): Promise<Response> {
    const { id } = await currentUser(claims);
    const condition = { global: "true", local: "id = $2", others: "id <> $2" }[scope];
    if (condition === undefined) {
      throw new AuthError(400, "validation_failed", `Unsupported logout scope ${JSON.stringify(scope)}`);
    }
    // $2 is named in each case, so that its type is known.
    await pool.query(
      `delete from auth.sessions where user_id = $1 and ${condition} and $2::uuid is not null`,
      [id, claims.session_id],
    );
    return new Response(null, { status: 204 });
  }

  async function administer(request: Request, path: string, claims: Caller["claims"]): Promise<Response> {
    if (claims.role !== "service_role") throw new AuthError(403, "not_admin", "User not allowed");
    if (request.method === "POST" && path === "/admin/users") {
      const { email, password, user_metadata: data } = await bodyOf(request);
      return Response.json(
        await createUser({ email: textOf(email), password: textOf(password), data: objectOf(data) }),
      );
    }
    const [, id] = /^\/admin\/users\/([0-9a-f-]{36})$/.exec(path) ?? [];
    if (id === undefined || !["GET", "DELETE"].includes(request.method)) {
      throw new AuthError(404, "not_found", "Not found");
    }
    if (request.method === "DELETE" && (await bodyOf(request)).should_soft_delete === true) {
      throw new AuthError(422, "validation_failed", "Soft deletion is not part of the local stack");
    }
    const source = request.method === "GET"
      ? "select * from auth.users where id = $1"
      : "delete from auth.users where id = $1 returning *";
    const { rows: [row] } = await pool.query<{ user: User }>(
      `with u as (${source}) select ${userObject} as "user" from u`,
      [id],
    );
    if (row === undefined) throw new AuthError(404, "user_not_found", "User not found");
    return Response.json(request.method === "GET" ? row.user : {});
  }

  async function route(request: Request, url: URL, claims: Caller["claims"]): Promise<Response> {
    const path = url.pathname.slice("/auth/v1".length);
    switch (`${request.method} ${path}`) {
      case "GET /.well-known/jwks.json":
        return Response.json(tokens.jwks, { headers: { "cache-control": "public, max-age=600" } });
      case "GET /health":
        return Response.json({
          name: "GoTrue",
          description: "GoTrue is a user registration and authentication API",
        });
      case "GET /settings":
        return Response.json({
          external: { anonymous_users: true, email: true, phone: false },
          disable_signup: false,
          mailer_autoconfirm: false,
        });
      case "POST /signup": {
        const { email, phone, data } = await bodyOf(request);
        if (phone !== undefined) {
          throw new AuthError(400, "phone_provider_disabled", "Phone signups are disabled");
        }
        // The address must be confirmed, and a project without a mail server of its own has nobody to write to.
        if (email !== undefined) {
          const message = `Email address ${JSON.stringify(email)} cannot be used as it is not authorized`;
          throw new AuthError(400, "email_address_not_authorized", message);
        }
        const user = await createUser({ data: objectOf(data) });
        return await signIn(user.id);
      }
      case "POST /token": {
        const grant = url.searchParams.get("grant_type");
        if (grant === "refresh_token") return await refreshGrant(await bodyOf(request));
        if (grant === "password") return await passwordGrant(await bodyOf(request));
        throw new AuthError(400, "invalid_credentials", "unsupported_grant_type");
      }
      case "GET /user":
        return Response.json(await currentUser(claims));
      case "POST /logout":
        return await signOut(claims, url.searchParams.get("scope") ?? "global");
      default:
        return await administer(request, path, claims);
    }
  }

  return {
    async fetch(request, url, claims) {
      try {
        return await route(request, url, claims);
      } catch (error) {
        if (error instanceof AuthError) return error.response();
        throw error;
      }
    },
  };
}

/** Anonymous without an e-mail address. */
interface NewUser {
  email?: string;
  password?: string;
  data: Record<string, unknown>;
}

type Body = Record<string, unknown>;

async function bodyOf(request: Request): Promise<Body> {
  const text = await request.text();
  const body = text === "" ? {} : tryParseJson(text);
  if (body === undefined) throw new AuthError(400, "bad_json", "Could not parse request body as JSON");
  return objectOf(body);
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function textOf(value: unknown): string {
  if (typeof value !== "string" || value === "") {
    throw new AuthError(400, "validation_failed", "A required field is missing");
  }
  return value;
}

/** Twelve characters, as the service's. */
function newRefreshToken(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 12);
}
