/** The second factor: time-based codes (RFC 6238), enrolled and asked for as github.com/supabase/auth does it. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
// @ts-types="@types/pg"
import type pg from "pg";
import { transaction } from "../pool.ts";
import { type Body, textOf } from "./requests.ts";
import { type Actor, newRefreshToken, sessionObject, type Sessions } from "./sessions.ts";
import { AuthError, type Session } from "./tokens.ts";

/** The platform's defaults. */
const maxFactors = 10;
const challengeSeconds = 300;
const stepSeconds = 30;

export interface Factors {
  /** Answers what is below /factors; `path` is the rest: "", "/<id>", "/<id>/challenge" or "/<id>/verify". */
  serve(method: string, path: string, body: Body, actor: Actor): Promise<Response>;
}

interface Factor {
  id: string;
  status: "unverified" | "verified";
  secret: string;
}

/** `issuer` names the project in the apps that make the codes. */
export function createFactors(pool: pg.Pool, sessions: Sessions, issuer: string): Factors {
  async function factorOf(id: string, { user }: Actor): Promise<Factor> {
    const { rows: [factor] } = await pool.query<Factor>(
      "select id, status::text, secret from auth.mfa_factors where id = $1 and user_id = $2",
      [id, user.id],
    );
    if (factor === undefined) throw new AuthError(404, "mfa_factor_not_found", "Factor not found");
    return factor;
  }

  async function enroll(body: Body, { user, aal }: Actor): Promise<Response> {
    if (body.factor_type !== "totp") {
      throw new AuthError(422, "validation_failed", "factor_type needs to be totp");
    }
    const { rows } = await pool.query<{ status: string; friendly_name: string | null }>(
      "select status::text, friendly_name from auth.mfa_factors where user_id = $1",
      [user.id],
    );
    if (rows.length >= maxFactors) {
      const message = "Maximum number of verified factors reached, unenroll to continue";
      throw new AuthError(422, "too_many_enrolled_mfa_factors", message);
    }
    // Else a stolen session would give itself the second factor.
    if (rows.some(({ status }) => status === "verified") && aal !== "aal2") {
      throw new AuthError(403, "insufficient_aal", "AAL2 required to enroll a new factor");
    }
    const name = typeof body.friendly_name === "string" ? body.friendly_name : "";
    if (name !== "" && rows.some(({ friendly_name }) => friendly_name === name)) {
      const message = `A factor with the friendly name ${JSON.stringify(name)} for this user already exists`;
      throw new AuthError(422, "mfa_factor_name_conflict", message);
    }
    const id = crypto.randomUUID();
    const secret = base32(randomBytes(20));
    await pool.query(
      `insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, secret, created_at, updated_at)
       values ($1, $2, $3, 'totp', 'unverified', $4, now(), now())`,
      [id, user.id, name, secret],
    );
    const by = typeof body.issuer === "string" && body.issuer !== "" ? body.issuer : issuer;
    const label = encodeURIComponent(`${by}:${user.email}`);
    const uri = `otpauth://totp/${label}?algorithm=SHA1&digits=6&issuer=${
      encodeURIComponent(by)
    }&period=30&secret=${secret}`;
    return Response.json({
      id,
      type: "totp",
      friendly_name: name,
      totp: { qr_code: picture(uri), secret, uri },
    });
  }

  async function challenge(factor: Factor): Promise<Response> {
    const id = crypto.randomUUID();
    await pool.query(
      `insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values ($1, $2, now(), '127.0.0.1')`,
      [id, factor.id],
    );
    const expiresAt = Math.floor(Date.now() / 1000) + challengeSeconds;
    return Response.json({ id, type: "totp", expires_at: expiresAt });
  }

  /** The session gets its second factor, and the user's sessions without one end. */
  async function verify(factor: Factor, body: Body, { user, sessionId }: Actor): Promise<Response> {
    const { rows: [asked] } = await pool.query<{ expired: boolean }>(
      `select created_at < now() - make_interval(secs => $3) as expired
         from auth.mfa_challenges where id::text = $1 and factor_id = $2`,
      [textOf(body.challenge_id), factor.id, challengeSeconds],
    );
    if (asked === undefined) {
      throw new AuthError(404, "mfa_factor_not_found", "MFA factor with the provided challenge ID not found");
    }
    if (asked.expired) {
      const message = "MFA challenge has expired, verify against another challenge or create a new challenge";
      throw new AuthError(422, "mfa_challenge_expired", message);
    }
    if (!isCode(textOf(body.code), factor.secret)) {
      throw new AuthError(422, "mfa_verification_failed", "Invalid TOTP code entered");
    }
    const refreshToken = newRefreshToken();
    const session = await transaction(pool, async (client) => {
      const steps: [string, unknown[]][] = [
        ["update auth.mfa_challenges set verified_at = now() where id = $1", [body.challenge_id]],
        ["update auth.mfa_factors set status = 'verified', updated_at = now() where id = $1", [factor.id]],
        ["update auth.sessions set aal = 'aal2', factor_id = $2 where id = $1", [sessionId, factor.id]],
        [
          `insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
           values (gen_random_uuid(), $1, 'totp', now(), now())
           on conflict (session_id, authentication_method) do update set updated_at = excluded.updated_at`,
          [sessionId],
        ],
        ["delete from auth.sessions where user_id = $1 and coalesce(aal, 'aal1') = 'aal1'", [user.id]],
        ["delete from auth.mfa_factors where user_id = $1 and status = 'unverified'", [user.id]],
        ["update auth.refresh_tokens set revoked = true where session_id = $1", [sessionId]],
        [
          `insert into auth.refresh_tokens (id, token, user_id, session_id) values (gen_random_uuid(), $1, $2, $3)`,
          [refreshToken, user.id, sessionId],
        ],
      ];
      for (const [statement, values] of steps) await client.query(statement, values);
      const { rows: [row] } = await client.query<Session>(
        `select ${sessionObject} from auth.sessions s join auth.users u on u.id = s.user_id where s.id = $1`,
        [sessionId],
      );
      return row;
    });
    if (session === undefined) throw new AuthError(403, "session_not_found", "The session has ended");
    return await sessions.answer(session, refreshToken);
  }

  async function unenroll(factor: Factor, { aal }: Actor): Promise<Response> {
    if (factor.status === "verified" && aal !== "aal2") {
      throw new AuthError(422, "insufficient_aal", "AAL2 required to unenroll verified factor");
    }
    await transaction(pool, async (client) => {
      await client.query(
        `with s as (update auth.sessions set aal = 'aal1', factor_id = null where factor_id = $1 returning id)
         delete from auth.mfa_amr_claims as c using s where c.session_id = s.id and c.authentication_method = 'totp'`,
        [factor.id],
      );
      await client.query("delete from auth.mfa_factors where id = $1", [factor.id]);
    });
    return Response.json({ id: factor.id });
  }

  return {
    async serve(method, path, body, actor) {
      if (actor.user.is_anonymous) {
        throw new AuthError(403, "no_authorization", "Anonymous user not allowed to perform these actions");
      }
      const [, id, step = ""] = /^\/([0-9a-f-]{36})(\/[a-z]+)?$/.exec(path) ?? [];
      if (id === undefined && path === "" && method === "POST") return await enroll(body, actor);
      if (id !== undefined && method === "POST" && step === "/challenge") {
        return await challenge(await factorOf(id, actor));
      }
      if (id !== undefined && method === "POST" && step === "/verify") {
        return await verify(await factorOf(id, actor), body, actor);
      }
      if (id !== undefined && method === "DELETE" && step === "") {
        return await unenroll(await factorOf(id, actor), actor);
      }
      throw new AuthError(404, "not_found", "Not found");
    },
  };
}

/** The code of a secret for the step of 30 seconds that `milliseconds` is in: six digits. */
export function totpCode(secret: string, milliseconds: number): string {
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(Math.floor(milliseconds / 1000 / stepSeconds)));
  const digest = createHmac("sha1", fromBase32(secret)).update(counter).digest();
  const number = digest.readUInt32BE((digest.at(-1) ?? 0) & 0xf) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** A clock may be a step early or late. */
function isCode(code: string, secret: string): boolean {
  return [-1, 0, 1].some((steps) => {
    const expected = totpCode(secret, Date.now() + steps * stepSeconds * 1000);
    return code.length === expected.length &&
      timingSafeEqual(new TextEncoder().encode(code), new TextEncoder().encode(expected));
  });
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function base32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{5}/g) ?? []).map((five) => alphabet.charAt(Number.parseInt(five, 2))).join("");
}

function fromBase32(text: string): Uint8Array {
  const bits = Array.from(text, (character) => alphabet.indexOf(character).toString(2).padStart(5, "0")).join(
    "",
  );
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (eight) => Number.parseInt(eight, 2));
}

/** The platform draws a QR code of the address; here it stands in the picture as text, to be typed or copied. */
function picture(uri: string): string {
  const text = uri.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1200 24"><text y="16">${text}</text></svg>`;
}
