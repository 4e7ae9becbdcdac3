/** Sessions of Auth: how they begin, are refreshed and end, and whose a token is. */
// @ts-types="@types/pg"
import type pg from "pg";
import type { Caller } from "../lite.ts";
import { transaction } from "../pool.ts";
import { type Body, textOf } from "./requests.ts";
import { accessTokenSeconds, AuthError, type Session, type Tokens, type User } from "./tokens.ts";

/** The platform's default: a client whose two requests refresh at once does not lose its session. */
const reuseSeconds = 10;

/** A user `u` of `auth.users` as clients see it. */
export const userObject = `jsonb_build_object(
  'id', u.id, 'aud', u.aud, 'role', u.role, 'email', coalesce(u.email, ''), 'phone', coalesce(u.phone, ''),
  'email_confirmed_at', u.email_confirmed_at, 'last_sign_in_at', u.last_sign_in_at, 'banned_until', u.banned_until,
  'app_metadata', u.raw_app_meta_data, 'user_metadata', u.raw_user_meta_data,
  'identities', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'identity_id', i.id, 'id', i.provider_id, 'user_id', i.user_id, 'identity_data', i.identity_data,
      'provider', i.provider, 'last_sign_in_at', i.last_sign_in_at, 'created_at', i.created_at,
      'updated_at', i.updated_at, 'email', i.email) order by i.created_at, i.id), '[]')
    from auth.identities as i where i.user_id = u.id),
  'factors', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'id', f.id, 'friendly_name', f.friendly_name, 'factor_type', f.factor_type, 'status', f.status,
      'created_at', f.created_at, 'updated_at', f.updated_at) order by f.created_at, f.id), '[]')
    from auth.mfa_factors as f where f.user_id = u.id),
  'created_at', u.created_at, 'updated_at', u.updated_at, 'is_anonymous', u.is_anonymous)`;

/** The columns that make a Session of `auth.sessions s` and `auth.users u`. */
export const sessionObject = `s.id, coalesce(s.aal, 'aal1') as aal, ${userObject} as "user", (
  select coalesce(jsonb_agg(jsonb_build_object(
    'method', c.authentication_method, 'timestamp', floor(extract(epoch from c.updated_at))::int
  ) order by c.updated_at desc), '[]')
  from auth.mfa_amr_claims as c where c.session_id = s.id) as amr`;

/** How somebody proved who they are, as the `amr` of a token names it. */
export type Method = "anonymous" | "password" | "oauth" | "totp";

/** A query of the pool, or of a transaction. */
export type Queryable = Pick<pg.Pool, "query">;

/** Who acts, by a token whose session is alive. */
export interface Actor {
  readonly user: User;
  readonly sessionId: string;
  readonly aal: string;
}

export interface Sessions {
  /** Starts a session of a user who has just proved who they are. */
  signIn(userId: string, method: Method, queryable?: Queryable): Promise<Response>;
  /** Rotates: each refresh token is good once, and one that comes back late ends its session's tokens. */
  refresh(body: Body): Promise<Response>;
  /** The user of a token, if both the user and the token's session still exist. */
  current(claims: Caller["claims"]): Promise<Actor>;
  /** Ends what `scope` names of the caller's sessions: "global", "local" or "others". */
  signOut(claims: Caller["claims"], scope: string): Promise<Response>;
  /** What a client keeps of a session: tokens and user. */
  answer(session: Session, refreshToken: string): Promise<Response>;
}

/** Serves from the `auth` schema of the pool's database, with the tokens that `tokens` signs. */
export function createSessions(pool: pg.Pool, tokens: Tokens): Sessions {
  async function answer(session: Session, refreshToken: string): Promise<Response> {
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

  async function current(claims: Caller["claims"]): Promise<Actor> {
    if (typeof claims.session_id !== "string") {
      throw new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
    }
    const { rows: [row] } = await pool.query<
      { user: User; session: string | null; aal: string; banned: boolean }
    >(
      `select ${userObject} as "user", s.id as session, coalesce(s.aal, 'aal1') as aal,
              coalesce(u.banned_until > now(), false) as banned
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
    return { user: row.user, sessionId: row.session, aal: row.aal };
  }

  return {
    answer,
    current,
    async signIn(userId, method, queryable = pool) {
      const refreshToken = newRefreshToken();
      const sessionId = crypto.randomUUID();
      await queryable.query(
        `with u as (update auth.users set last_sign_in_at = now() where id = $1 returning *),
              s as (insert into auth.sessions (id, user_id, aal) select $2, u.id, 'aal1' from u returning *),
              t as (insert into auth.refresh_tokens (id, token, user_id, session_id)
                    select gen_random_uuid(), $3, s.user_id, s.id from s)
         insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
         select gen_random_uuid(), s.id, $4, now(), now() from s`,
        [userId, sessionId, refreshToken, method],
      );
      const { rows: [session] } = await queryable.query<Session>(
        `select ${sessionObject} from auth.sessions s join auth.users u on u.id = s.user_id where s.id = $1`,
        [sessionId],
      );
      if (session === undefined) throw new AuthError(404, "user_not_found", "User not found");
      return await answer(session, refreshToken);
    },
    async refresh(body) {
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
        const refuse = (code: string, why: string) =>
          new AuthError(400, code, `Invalid Refresh Token: ${why}`);
        if (found === undefined) return refuse("refresh_token_not_found", "Refresh Token Not Found");
        if (found.banned) return refuse("user_banned", "User Banned");
        if (found.revoked && found.active !== null && found.activeParent === given) {
          // The client never got the answer to its refresh.
          return { session: found, refreshToken: found.active };
        }
        if (found.revoked && !found.reusable) {
          await client.query("update auth.refresh_tokens set revoked = true where session_id = $1", [
            found.id,
          ]);
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
      return await answer(outcome.session, outcome.refreshToken);
    },
    async signOut(claims, scope) {
      const { user, sessionId } = await current(claims);
      const condition = { global: "true", local: "id = $2", others: "id <> $2" }[scope];
      if (condition === undefined) {
        throw new AuthError(400, "validation_failed", `Unsupported logout scope ${JSON.stringify(scope)}`);
      }
      // $2 is named in each case, so that its type is known.
      await pool.query(
        `delete from auth.sessions where user_id = $1 and ${condition} and $2::uuid is not null`,
        [user.id, sessionId],
      );
      return new Response(null, { status: 204 });
    },
  };
}

/** Twelve characters, as the service's. */
export function newRefreshToken(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 12);
}
