/**
 * Identities at Apple: signing in with an identity token, and linking one to the user who is signed in. What is asked and
 * refused is what github.com/supabase/auth asks and refuses; it remembers no nonce, and neither does this.
 */
import { createHash } from "node:crypto";
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
// @ts-types="@types/pg"
import type pg from "pg";
import type { Caller } from "../lite.ts";
import { transaction } from "../pool.ts";
import { type Body, textOf } from "./requests.ts";
import type { Actor, Queryable, Sessions } from "./sessions.ts";
import { AuthError } from "./tokens.ts";

/** Apple, as Auth is told of it. */
export interface AppleProvider {
  /** Where its public keys are. */
  readonly jwksUrl: string;
  /** Audiences that are ours: bundle ids of apps, ids of services. */
  readonly clientIds: readonly string[];
}

/** Apple signs as either. */
const issuers = ["https://appleid.apple.com", "https://account.apple.com"];

/** A refusal of the grant, in the form that OAuth has for it. */
class OAuthError extends AuthError {
  constructor(private readonly error: string, message: string) {
    super(400, error, message);
  }

  override response(): Response {
    return Response.json({ error: this.error, error_description: this.message }, { status: 400 });
  }
}

export interface Identities {
  /** Signs in with an identity token; with `link_identity`, gives the identity to the caller. */
  idTokenGrant(body: Body, claims: Caller["claims"]): Promise<Response>;
  /** Takes an identity from its user, who keeps another. */
  unlink(id: string, actor: Actor): Promise<Response>;
}

export function createIdentities(pool: pg.Pool, sessions: Sessions, apple: AppleProvider): Identities {
  const keys = createRemoteJWKSet(new URL(apple.jwksUrl));

  /** What a token says, once it is Apple's, alive, for us, and made for this nonce. */
  async function verify(body: Body): Promise<JWTPayload & { sub: string }> {
    if (body.provider !== "apple") {
      throw new OAuthError("invalid request", `Provider ${JSON.stringify(body.provider)} is not enabled`);
    }
    if (typeof body.id_token !== "string" || body.id_token === "") {
      throw new OAuthError("invalid request", "id_token required");
    }
    const payload = await read(body.id_token);
    const { sub, aud, nonce } = payload;
    const audiences = [aud ?? []].flat();
    if (!audiences.some((audience) => apple.clientIds.includes(audience))) {
      throw new OAuthError("invalid request", `Unacceptable audience in id_token: [${audiences.join(" ")}]`);
    }
    if (sub === undefined || sub === "") {
      throw new OAuthError("invalid request", "Missing sub claim in id_token");
    }
    const hasNonce = typeof nonce === "string" && nonce !== "";
    const given = typeof body.nonce === "string" ? body.nonce : "";
    if (hasNonce !== (given !== "")) {
      const message = "Passed nonce and nonce in id_token should either both exist or not.";
      throw new OAuthError("invalid request", message);
    }
    if (hasNonce && createHash("sha256").update(given).digest("hex") !== nonce) {
      throw new OAuthError("invalid nonce", "Nonces mismatch");
    }
    return { ...payload, sub };
  }

  async function read(token: string): Promise<JWTPayload> {
    try {
      const options = { issuer: issuers, algorithms: ["RS256", "ES256"], requiredClaims: ["exp", "sub"] };
      return (await jwtVerify(token, keys, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      throw new OAuthError("invalid request", "Bad ID token");
    }
  }

  async function link(client: Queryable, identity: Identity, actor: Actor): Promise<string> {
    const { id: userId, email } = actor.user;
    const owner = await ownerOf(client, identity);
    if (owner !== null) {
      const whose = owner === userId ? "" : " to another user";
      throw new AuthError(422, "identity_already_exists", `Identity is already linked${whose}`);
    }
    await insertIdentity(client, userId, identity);
    if (email === "" && identity.email !== null) {
      const { rows: [taken] } = await client.query(
        "select 1 from auth.users where email = $1 and not is_sso_user",
        [identity.email],
      );
      if (taken !== undefined) {
        const message = "A user with this email address has already been registered";
        throw new AuthError(400, "email_exists", message);
      }
    }
    // Apple's addresses count as verified, and so does that there is none.
    await client.query(
      `update auth.users set is_anonymous = false, email = coalesce(nullif(email, ''), $2),
              email_confirmed_at = case when coalesce(nullif(email, ''), $2) is not null then coalesce(email_confirmed_at, now()) end
        where id = $1`,
      [userId, identity.email],
    );
    return userId;
  }

  /** The identity's user, or whoever has its address, or somebody new. */
  async function find(client: Queryable, identity: Identity): Promise<string> {
    const owner = await ownerOf(client, identity);
    if (owner !== null) {
      await client.query(
        "update auth.identities set last_sign_in_at = now(), updated_at = now(), identity_data = identity_data || $3 where provider = $1 and provider_id = $2",
        ["apple", identity.sub, identity.data],
      );
      return owner;
    }
    const { rows: [known] } = await client.query<{ id: string }>(
      "select id from auth.users where email = $1 and not is_sso_user",
      [identity.email],
    );
    let userId = known?.id;
    if (userId === undefined) {
      userId = crypto.randomUUID();
      await client.query(
        `insert into auth.users (id, is_anonymous, email, email_confirmed_at, raw_user_meta_data)
         values ($1, false, $2::text, case when $2::text is not null then now() end, $3)`,
        [userId, identity.email, identity.data],
      );
    }
    await insertIdentity(client, userId, identity);
    return userId;
  }

  return {
    async idTokenGrant(body, claims) {
      const actor = body.link_identity === true ? await sessions.current(claims) : null;
      const payload = await verify(body);
      const identity = identityOf(payload);
      return await transaction(pool, async (client) => {
        // Two that come at once with the same identity come one after the other.
        await client.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [`apple:${payload.sub}`]);
        const userId = actor === null ? await find(client, identity) : await link(client, identity, actor);
        await noteProviders(client, userId);
        const { rows: [user] } = await client.query<{ banned: boolean }>(
          "select coalesce(banned_until > now(), false) as banned from auth.users where id = $1",
          [userId],
        );
        if (user?.banned) throw new AuthError(403, "user_banned", "User is banned");
        return await sessions.signIn(userId, "oauth", client);
      });
    },
    async unlink(id, { user }) {
      return await transaction(pool, async (client) => {
        const { rows } = await client.query<{ id: string }>(
          "select id from auth.identities where user_id = $1 for update",
          [user.id],
        );
        if (rows.length <= 1) {
          const message = "User must have at least 1 identity after unlinking";
          throw new AuthError(422, "single_identity_not_deletable", message);
        }
        if (!rows.some((row) => row.id === textOf(id))) {
          throw new AuthError(422, "identity_not_found", "Identity doesn't exist");
        }
        await client.query("delete from auth.identities where id = $1", [id]);
        await noteProviders(client, user.id);
        return Response.json({});
      });
    },
  };
}

interface Identity {
  readonly sub: string;
  readonly email: string | null;
  readonly data: Record<string, unknown>;
}

function identityOf({ sub, iss, email }: JWTPayload & { sub: string }): Identity {
  const address = typeof email === "string" && email !== "" ? email.toLowerCase() : null;
  const data = { iss, sub, provider_id: sub, email_verified: true, phone_verified: false };
  return { sub, email: address, data: address === null ? data : { ...data, email: address } };
}

async function ownerOf(client: Queryable, { sub }: Identity): Promise<string | null> {
  const { rows: [row] } = await client.query<{ user_id: string }>(
    "select user_id from auth.identities where provider = $1 and provider_id = $2",
    ["apple", sub],
  );
  return row?.user_id ?? null;
}

async function insertIdentity(client: Queryable, userId: string, { sub, data }: Identity): Promise<void> {
  await client.query(
    `insert into auth.identities (id, provider, provider_id, user_id, identity_data, last_sign_in_at)
     values ($1, 'apple', $2, $3, $4, now())`,
    [crypto.randomUUID(), sub, userId, data],
  );
}

/** `app_metadata` names the providers of a user's identities; the first stays the first. */
async function noteProviders(client: Queryable, userId: string): Promise<void> {
  await client.query(
    `update auth.users as u
        set raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}') || jsonb_build_object(
              'provider', coalesce(p.providers ->> 0, ''), 'providers', p.providers),
            updated_at = now()
       from (select coalesce(jsonb_agg(i.provider order by i.created_at, i.id), '[]') as providers
               from auth.identities as i where i.user_id = $1) as p
      where u.id = $1`,
    [userId],
  );
}
