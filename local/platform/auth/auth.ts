/**
 * Supabase Auth, as far as Kinora's clients and functions use it: anonymous users, those whom the operator gives a password,
 * those who sign in with Apple, second factors, sessions with rotating refresh tokens, and the admin's part. Lite has neither anonymous users nor the admin's part, and its
 * tokens lack most of the platform's claims. The routes, claims and errors are those of github.com/supabase/auth.
 */
// @ts-types="@types/pg"
import type pg from "pg";
import type { Caller } from "../lite.ts";
import { createFactors } from "./factors.ts";
import { type AppleProvider, createIdentities } from "./identities.ts";
import { type Body, bodyOf, objectOf, textOf } from "./requests.ts";
import { createSessions, userObject } from "./sessions.ts";
import { AuthError, type Tokens, type User } from "./tokens.ts";

export interface Auth {
  /** Answers a request under /auth/v1. `claims` are those of its API key or of its user's token. */
  fetch(request: Request, url: URL, claims: Caller["claims"]): Promise<Response>;
}

/** Serves from the `auth` schema of the pool's database, with the tokens that `tokens` signs. */
export function createAuth(pool: pg.Pool, tokens: Tokens, apple: AppleProvider): Auth {
  const sessions = createSessions(pool, tokens);
  const identities = createIdentities(pool, sessions, apple);
  const factors = createFactors(pool, sessions, "Kinora");

  async function createUser(user: NewUser): Promise<User> {
    const { rows: [row] } = await pool.query<{ user: User }>(
      `with u as (
         insert into auth.users (id, is_anonymous, email, encrypted_password, email_confirmed_at, raw_user_meta_data, raw_app_meta_data)
         values ($1, $2, lower($3), extensions.crypt($4, extensions.gen_salt('bf', 4)), case when $2 then null else now() end, $5, $6)
         on conflict do nothing returning *),
       i as (
         insert into auth.identities (id, provider, provider_id, user_id, identity_data, last_sign_in_at)
         select gen_random_uuid(), 'email', u.id, u.id, jsonb_build_object('sub', u.id, 'email', u.email, 'email_verified', true), now()
         from u where u.email is not null)
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
    return await sessions.signIn(user.id, "password");
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
          external: { anonymous_users: true, apple: true, email: true, phone: false },
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
        return await sessions.signIn(user.id, "anonymous");
      }
      case "POST /token": {
        const grant = url.searchParams.get("grant_type");
        if (grant === "refresh_token") return await sessions.refresh(await bodyOf(request));
        if (grant === "password") return await passwordGrant(await bodyOf(request));
        if (grant === "id_token") return await identities.idTokenGrant(await bodyOf(request), claims);
        throw new AuthError(400, "invalid_credentials", "unsupported_grant_type");
      }
      case "GET /user":
        return Response.json((await sessions.current(claims)).user);
      case "POST /logout":
        return await sessions.signOut(claims, url.searchParams.get("scope") ?? "global");
      default: {
        if (path === "/factors" || path.startsWith("/factors/")) {
          const actor = await sessions.current(claims);
          return await factors.serve(
            request.method,
            path.slice("/factors".length),
            await bodyOf(request),
            actor,
          );
        }
        const [, identity] = /^\/user\/identities\/([0-9a-f-]{36})$/.exec(path) ?? [];
        if (identity !== undefined && request.method === "DELETE") {
          return await identities.unlink(identity, await sessions.current(claims));
        }
        return await administer(request, path, claims);
      }
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
