/**
 * What happens to a user, as Realtime tells it on their own channel, so that nobody has to ask all the time. A message may be
 * lost, and none is told twice: the state is what the endpoints say, and news are when to ask them.
 */
import type { RealtimeChannel } from "@supabase/supabase-js";
import { currentSession, type Supabase } from "./session.ts";

/** Something that has happened, as `docs/events.md` lists it. */
export interface News {
  /** Of the event, which has the same one wherever else it is told. */
  readonly id: string;
  /** What it happened to, and what: `video` and `completed`. */
  readonly type: string;
  readonly action: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly timestamp: string;
}

/** Null where news may have been missed, as before the channel was joined, or joined again: read anew what you show. */
export type Hear = (news: News | null) => void;

/** One for each supabase-js client, which has one channel of a name: two screens, or two Kinoras, share it. */
const listeners = new WeakMap<object, Listener>();

/** The one of this client. */
export function listenerOf(supabase: Supabase): Listener {
  const listener = listeners.get(supabase) ?? new Listener(supabase);
  listeners.set(supabase, listener);
  return listener;
}

/** Milliseconds after which a channel that was not to be had is asked for again. */
const retryDelay = 30_000;

export class Listener {
  /** Something was told since the channel was joined: before, nothing says that anybody tells anything. */
  isTold = false;
  readonly #supabase: Supabase;
  readonly #hearers = new Set<Hear>();
  #channel: RealtimeChannel | null = null;
  #userId = "";
  /** What is being opened or closed, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #isOpening = false;
  #isConnected = false;
  #isImpossible = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(supabase: Supabase) {
    this.#supabase = supabase;
  }

  /** Tells this one, too, until what is returned is called. The last to leave ends the channel. */
  add(hear: Hear): () => void {
    this.#hearers.add(hear);
    this.open();
    return () => {
      this.#hearers.delete(hear);
      this.#do(async () => {
        if (this.#hearers.size === 0) await this.#close();
      });
    };
  }

  /** Listens as the user who is signed in, where nobody does yet. */
  open(): void {
    if (this.#isImpossible || this.#isOpening) return;
    this.#isOpening = true;
    this.#do(async () => {
      try {
        await this.#open();
      } finally {
        this.#isOpening = false;
        this.#openLater();
      }
    });
  }

  #openLater(): void {
    clearTimeout(this.#retry);
    if (this.#channel !== null || this.#hearers.size === 0 || this.#isImpossible) return;
    this.#retry = setTimeout(() => this.open(), retryDelay);
  }

  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch(() => {});
  }

  async #open(): Promise<void> {
    const supabase = this.#supabase;
    if (!supabase.realtime || !supabase.channel || !supabase.getChannels) {
      this.#isImpossible = true;
      return;
    }
    const session = await currentSession(supabase);
    if (session === null || this.#hearers.size === 0) return;
    if (this.#channel !== null && this.#userId === session.userId) return;
    await this.#close();
    const topic = `user:${session.userId}`;
    // The app's own, which is not ours to use or to end.
    if (supabase.getChannels().some((channel) => channel.topic === `realtime:${topic}`)) return;
    // Else a channel may be joined before the token is known, by nobody.
    await supabase.realtime.setAuth();
    const channel = supabase.channel(topic, { config: { private: true } });
    this.#channel = channel;
    this.#userId = session.userId;
    this.#isConnected = true;
    channel.on("broadcast", { event: "*" }, ({ payload }) => {
      this.isTold = true;
      this.#tell(payload);
    });
    try {
      channel.subscribe((state) => {
        if (this.#channel !== channel) return;
        this.isTold = false;
        if (state === "SUBSCRIBED") this.#tell(null);
        if (state !== "CLOSED") return;
        // By the server: the token has ended, or its user. What failed otherwise, supabase-js tries again by itself.
        this.#channel = null;
        this.#openLater();
      });
    } catch {
      // Where there is no WebSocket, there will be none.
      this.#isImpossible = true;
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    clearTimeout(this.#retry);
    if (!this.#isConnected) return;
    const channel = this.#channel;
    this.#channel = null;
    this.isTold = false;
    if (channel !== null) await this.#supabase.removeChannel?.(channel);
    if (this.#supabase.getChannels?.().length === 0) await this.#supabase.realtime?.disconnect();
    this.#isConnected = false;
  }

  #tell(news: News | null): void {
    const errors: unknown[] = [];
    for (const hear of [...this.#hearers]) {
      try {
        hear(news);
      } catch (error) {
        errors.push(error);
      }
    }
    // The app's own mistake is for whoever runs it to see, when the others have heard.
    if (errors.length > 0) throw errors[0];
  }
}
