/**
 * What happens to a user's videos, as Realtime tells it on their own channel, so that nobody has to ask all the time. It says
 * when to ask, and nothing else: a message may be lost, and none is told twice.
 */
import type { RealtimeChannel } from "@supabase/supabase-js";
import { currentSession, type Supabase } from "./session.ts";

/** One for each supabase-js client, which has one channel of a name: two screens, or two Kinoras, share it. */
const listeners = new WeakMap<object, Listener>();

/** Who waits for news of a job. */
interface Watcher {
  readonly jobId: string;
  wake: () => void;
}

/** News of one job, until `stop`. */
export class News {
  readonly #listener: Listener;
  readonly #watcher: Watcher;

  constructor(supabase: Supabase, jobId: string) {
    const listener = listeners.get(supabase) ?? new Listener(supabase);
    listeners.set(supabase, listener);
    this.#listener = listener;
    this.#watcher = { jobId, wake: () => {} };
    listener.watchers.add(this.#watcher);
  }

  /** Whether what happens is told, as far as anybody knows. */
  get areTold(): boolean {
    return this.#listener.isTold;
  }

  /**
   * Resolves when there is a reason to ask: something has happened to the job, or may have while nobody listened. Whoever calls
   * it before they ask misses nothing that happens while they do.
   */
  next(): Promise<void> {
    this.#listener.open();
    return new Promise((resolve) => this.#watcher.wake = resolve);
  }

  stop(): void {
    this.#listener.watchers.delete(this.#watcher);
    this.#listener.closeIfUnused();
  }
}

class Listener {
  readonly watchers = new Set<Watcher>();
  /** Something was told since the channel was joined: before, nothing says that anybody tells anything. */
  isTold = false;
  readonly #supabase: Supabase;
  #channel: RealtimeChannel | null = null;
  #userId = "";
  /** What is being opened or closed, one after the other. */
  #work: Promise<void> = Promise.resolve();
  #isOpening = false;
  #isConnected = false;
  #isImpossible = false;

  constructor(supabase: Supabase) {
    this.#supabase = supabase;
  }

  /** Listens as the user who is signed in, where nobody does yet. What fails is tried again by the next call. */
  open(): void {
    if (this.#isImpossible || this.#isOpening) return;
    this.#isOpening = true;
    this.#do(async () => {
      try {
        await this.#open();
      } finally {
        this.#isOpening = false;
      }
    });
  }

  closeIfUnused(): void {
    this.#do(async () => {
      if (this.watchers.size === 0) await this.#close();
    });
  }

  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch(() => {});
  }

  async #open(): Promise<void> {
    const supabase = this.#supabase;
    if (!supabase.realtime || !supabase.channel || !supabase.getChannels) return;
    const session = await currentSession(supabase);
    if (session === null || this.watchers.size === 0) return;
    if (this.#channel !== null && this.#userId === session.userId) return;
    await this.#close();
    const topic = `user:${session.userId}`;
    // The app's own, which is not ours to use or to end.
    if (supabase.getChannels().some((channel) => channel.topic === `realtime:${topic}`)) return;
    // A channel that is joined before the token is known is joined by nobody.
    await supabase.realtime.setAuth();
    const channel = supabase.channel(topic, { config: { private: true } });
    this.#channel = channel;
    this.#userId = session.userId;
    this.#isConnected = true;
    channel.on("broadcast", { event: "video" }, ({ payload }) => {
      this.isTold = true;
      this.#wake(payload?.data?.job_id);
    });
    try {
      channel.subscribe((state) => {
        if (this.#channel !== channel) return;
        this.isTold = false;
        // Whatever happened before was told nobody.
        if (state === "SUBSCRIBED") this.#wake();
        // By the server: the token has ended, or its user. What failed otherwise, supabase-js tries again by itself.
        if (state === "CLOSED") this.#channel = null;
      });
    } catch {
      // Where there is no WebSocket, there will be none.
      this.#isImpossible = true;
      await this.#close();
    }
  }

  async #close(): Promise<void> {
    if (!this.#isConnected) return;
    const channel = this.#channel;
    this.#channel = null;
    this.isTold = false;
    if (channel !== null) await this.#supabase.removeChannel?.(channel);
    if (this.#supabase.getChannels?.().length === 0) await this.#supabase.realtime?.disconnect();
    this.#isConnected = false;
  }

  /** Those who watch the job, or everybody. */
  #wake(jobId?: unknown): void {
    for (const watcher of this.watchers) {
      if (jobId === undefined || watcher.jobId === jobId) watcher.wake();
    }
  }
}
