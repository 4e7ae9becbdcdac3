/** What a person has asked for and has no answer yet, kept where it survives the app's end. */
import { KinoraError } from "./errors.ts";
import type { components } from "./openapi.ts";

/** As `storage` of supabase-js: localStorage and React Native's AsyncStorage are such. */
export interface Store {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

type Schemas = components["schemas"];

interface Intended<Request> {
  readonly key: string;
  readonly request: Request;
  /** Whose it is: another user's credits do not pay for it. */
  readonly user_id: string | null;
  /** ISO 8601. */
  readonly made_at: string;
}

/** One tap: it makes one video, however often it is sent. */
export type Intention = Intended<Schemas["GenerateVideoRequest"]>;
/** One tap that makes several. */
export type BulkIntention = Intended<Schemas["GenerateVideosRequest"]>;
export type AnyIntention = Intention | BulkIntention;

const item = "kinora.intentions";
/** Milliseconds. The backend knows a key for 24 hours; after that, sending it again could charge again. */
const lifetime = 23 * 60 * 60 * 1000;

export class Intentions {
  readonly #store: Store;
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store = defaultStore()) {
    this.#store = store;
  }

  /** Those of the user that may still be sent. Forgets what is too old for that; what became of it, the jobs tell. */
  async of(userId: string | null): Promise<AnyIntention[]> {
    return await this.#change((all) => {
      const alive = all.filter(({ made_at }) => Date.now() - Date.parse(made_at) < lifetime);
      return [alive, alive.filter(({ user_id }) => user_id === userId)];
    });
  }

  /** Kept once this resolves. A second call changes nothing. */
  async keep(intention: AnyIntention): Promise<void> {
    await this.#change((all) => [[...all.filter(({ key }) => key !== intention.key), intention], undefined]);
  }

  async forget({ key: forgotten }: AnyIntention): Promise<void> {
    await this.#change((all) => [all.filter(({ key }) => key !== forgotten), undefined]);
  }

  /** Makes a guest's their heir's. A second call changes nothing. */
  async pass(guestId: string, heirId: string): Promise<void> {
    await this.#change((all) => [
      all.map((one) => one.user_id === guestId ? { ...one, user_id: heirId } : one),
      undefined,
    ]);
  }

  /** Sends it under its key, and keeps it until there is an answer. Throws what `send` does. */
  async carryOut<Answered>(
    intention: AnyIntention,
    send: (header: { "Idempotency-Key": string }) => Promise<Answered>,
  ): Promise<Answered> {
    await this.keep(intention);
    try {
      const answer = await send({ "Idempotency-Key": intention.key });
      await this.forget(intention);
      return answer;
    } catch (error) {
      if (error instanceof KinoraError && error.action !== "same_key_later") await this.forget(intention);
      throw error;
    }
  }

  /** One change at a time, over all tabs where the browser has locks. */
  async #change<T>(change: (all: AnyIntention[]) => [kept: AnyIntention[], result: T]): Promise<T> {
    const next = this.#last.then(() =>
      exclusively(item, async () => {
        const [kept, result] = change(parse(await this.#store.getItem(item)));
        if (kept.length === 0) await this.#store.removeItem(item);
        else await this.#store.setItem(item, JSON.stringify(kept));
        return result;
      })
    );
    this.#last = next.catch(() => {});
    return await next;
  }
}

/** What browsers have of the Web Locks API, which not every runtime's types know. */
interface Locks {
  request<T>(name: string, options: { signal?: AbortSignal }, work: () => Promise<T>): Promise<T>;
}

/** Runs alone among an origin's tabs; at once where there are none, as in an app. */
export async function exclusively<T>(
  name: string,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { navigator } = globalThis as { navigator?: { locks?: Locks } };
  return navigator?.locks === undefined
    ? await work()
    : await navigator.locks.request(name, signal ? { signal } : {}, work);
}

/** Another's writing under the same name is none of ours. */
function parse(text: string | null): AnyIntention[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

/** A browser's, as supabase-js keeps the session; elsewhere what is not given ends with the app. */
function defaultStore(): Store {
  if ("document" in globalThis && globalThis.localStorage) return globalThis.localStorage;
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

/**
 * A key for one intention. It is no secret, only like no other of its user: browsers without https and React Native have no
 * `randomUUID`.
 */
export function newKey(): string {
  if (typeof globalThis.crypto?.randomUUID === "function") return crypto.randomUUID();
  const digits = () => Math.random().toString(36).slice(2, 12);
  return `${Date.now().toString(36)}-${digits()}-${digits()}`;
}
