/** One WebSocket of a client, and the channels that it has joined. */
import type { Caller } from "../lite.ts";
import {
  type Broadcast,
  type Message,
  readMessage,
  type Version,
  writeBroadcast,
  writeMessage,
} from "./protocol.ts";

type Claims = Caller["claims"];

export interface Limits {
  /** Channels of a connection. */
  channels: number;
  /** Bytes of a message, from whomever. */
  messageBytes: number;
  /** Milliseconds for which a client may be silent: it sends a heartbeat every 25 seconds. */
  idleMilliseconds: number;
}

/** The platform's. */
export const platformLimits: Limits = { channels: 100, messageBytes: 256_000, idleMilliseconds: 60_000 };

/** Bytes of a frame around its message: the names of its topic and event, references, quotes. */
const frameBytes = 2_000;
/** Messages of a client that wait for the database: each channel may be joined and be given a new token at once. */
const waitingMessages = 250;
/** Bytes that a client does not read, after which it is taken for gone: some dozens of the largest messages. */
const unreadBytes = 16_000_000;
/** Milliseconds: a timer of more than 2^31 would fire at once. */
const longestTimer = 2 ** 31 - 1;

/** What a connection asks about its channels. */
export interface Authority {
  /** The claims of a token. Throws a Refusal where it is none, or has expired. */
  claimsOf(token: string): Promise<Claims>;
  /** Resolves when nothing that is sent from now on is missed. Throws a Refusal where the database is away. */
  ready(): Promise<void>;
  mayListen(topic: string, claims: Claims): Promise<boolean>;
  maySend(topic: string, claims: Claims): Promise<boolean>;
  /** Somebody who may has sent this. */
  send(topic: string, broadcast: Broadcast, from: Connection): void;
}

/** Why a client does not get what it asks for, in the platform's words. */
export class Refusal extends Error {}

interface Channel {
  /** As the client names it, `realtime:` before the name that policies know. */
  topic: string;
  name: string;
  joinRef: Message["joinRef"];
  claims: Claims;
  isJoined: boolean;
  /** Whether the client wants to hear itself, and to be told that it was heard. */
  hearsItself: boolean;
  acknowledges: boolean;
  expiry: ReturnType<typeof setTimeout> | undefined;
  /** What the client has asked for is done in its order. */
  work: Promise<void>;
}

const prefix = "realtime:";

export class Connection {
  readonly #channels = new Map<string, Channel>();
  #idle: ReturnType<typeof setTimeout> | undefined;
  #waiting = 0;

  /** `own` are the claims of the API key, which hold where a channel is joined without a token. */
  constructor(
    readonly socket: WebSocket,
    readonly version: Version,
    readonly own: Claims,
    readonly authority: Authority,
    readonly limits: Limits,
  ) {
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#waitForMore();
    socket.onmessage = ({ data }) => this.#take(data);
    // An error is followed by a close.
    socket.onerror = () => {};
    socket.onclose = () => {
      clearTimeout(this.#idle);
      for (const channel of this.#channels.values()) this.#forget(channel);
    };
  }

  /** Ends it, as `code` of a WebSocket's close says. */
  close(code: number, reason: string): void {
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close(code, reason);
  }

  /** Says it to the client, if it has joined the channel. */
  deliver(name: string, broadcast: Broadcast, from?: Connection): void {
    const channel = this.#channels.get(prefix + name);
    if (!channel?.isJoined || (from === this && !channel.hearsItself)) return;
    this.#send(writeBroadcast(channel.topic, broadcast, this.version));
  }

  #waitForMore(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(1000, "Idle"), this.limits.idleMilliseconds);
  }

  #send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > unreadBytes) return this.close(1008, "Too slow");
    this.socket.send(data);
  }

  #push(
    { topic, joinRef }: Channel,
    event: string,
    payload: Message["payload"],
    ref: Message["ref"] = null,
  ): void {
    this.#send(writeMessage({ joinRef, ref, topic, event, payload }, this.version));
  }

  #reply({ joinRef, ref, topic }: Message, status: "ok" | "error", response: Message["payload"] = {}): void {
    const payload = { status, response };
    this.#send(writeMessage({ joinRef, ref, topic, event: "phx_reply", payload }, this.version));
  }

  #refuse(message: Message, reason: string): void {
    this.#reply(message, "error", { reason });
  }

  #take(data: unknown): void {
    this.#waitForMore();
    const size = typeof data === "string" ? data.length : data instanceof ArrayBuffer ? data.byteLength : 0;
    if (size > this.limits.messageBytes + frameBytes) return this.close(1009, "Message too big");
    try {
      this.#handle(readMessage(data, this.version));
    } catch {
      // As Phoenix does with what it cannot read.
      this.close(1007, "Malformed message");
    }
  }

  #handle(message: Message): void {
    const { topic, event } = message;
    if (topic === "phoenix" && event === "heartbeat") return this.#reply(message, "ok");
    if (event === "phx_join") return this.#join(message);
    const channel = this.#channels.get(topic);
    if (event === "phx_leave") {
      if (channel !== undefined) this.#forget(channel);
      this.#reply(message, "ok");
      if (channel !== undefined) this.#push(channel, "phx_close", {}, channel.joinRef);
      return;
    }
    if (channel === undefined) return this.#refuse(message, "unmatched topic");
    switch (event) {
      case "access_token":
        return this.#then(channel, () => this.#admit(channel, message.payload));
      case "broadcast":
        return this.#then(channel, () => this.#broadcast(channel, message));
      case "presence":
        return this.#refuse(message, notHere("Presence"));
      default:
        return this.#refuse(message, `There is no event ${event}`);
    }
  }

  /** Does it when all is done that was asked of the channel before, if it is open then. */
  #then(channel: Channel, work: () => Promise<void>): void {
    if (++this.#waiting > waitingMessages) return this.close(1008, "Too many messages");
    channel.work = channel.work.then(async () => {
      if (this.#isOpen(channel)) await work();
    }).catch((error) => {
      // The database has failed: what the channel may hear is not known.
      if (!(error instanceof Refusal)) console.error(`Realtime, ${channel.topic}:`, error);
      this.#end(channel, error instanceof Refusal ? error.message : "The database could not be asked");
    }).finally(() => this.#waiting--);
  }

  #isOpen(channel: Channel): boolean {
    return this.#channels.get(channel.topic) === channel;
  }

  #join(message: Message): void {
    const { topic, ref } = message;
    if (!topic.startsWith(prefix) || topic === prefix) return this.#refuse(message, "unmatched topic");
    const before = this.#channels.get(topic);
    if (before !== undefined) {
      this.#forget(before);
      this.#push(before, "phx_close", {}, before.joinRef);
    }
    const config = asRecord(message.payload.config);
    const [broadcast, presence] = [asRecord(config.broadcast), asRecord(config.presence)];
    const asksFor = (value: unknown) => Array.isArray(value) && value.length > 0;
    const reason = this.#channels.size >= this.limits.channels
      ? "ChannelRateLimitReached: Too many channels"
      : asksFor(config.postgres_changes)
      ? notHere("Postgres changes")
      : presence.enabled === true
      ? notHere("Presence")
      : broadcast.replay !== undefined
      ? notHere("The replay of broadcasts")
      : config.private !== true
      ? "PrivateOnly: This project only allows private channels"
      : undefined;
    if (reason !== undefined) return this.#refuse(message, reason);
    const channel: Channel = {
      topic,
      name: topic.slice(prefix.length),
      joinRef: message.joinRef ?? ref,
      claims: this.own,
      isJoined: false,
      hearsItself: broadcast.self === true,
      acknowledges: broadcast.ack === true,
      expiry: undefined,
      work: Promise.resolve(),
    };
    this.#channels.set(topic, channel);
    this.#then(channel, async () => {
      try {
        await this.authority.ready();
        await this.#admit(channel, message.payload);
      } catch (error) {
        if (!this.#isOpen(channel)) return;
        this.#forget(channel);
        if (!(error instanceof Refusal)) console.error(`Realtime, ${topic}:`, error);
        return this.#refuse(
          message,
          error instanceof Refusal ? error.message : "The database could not be asked",
        );
      }
      if (!this.#isOpen(channel)) return;
      channel.isJoined = true;
      this.#reply(message, "ok", { postgres_changes: [] });
    });
  }

  /** Lets the token's user hear the channel until the token ends. Throws a Refusal where they may not. */
  async #admit(channel: Channel, payload: Message["payload"]): Promise<void> {
    const token = payload.access_token ?? payload.user_token;
    // Without a session supabase-js repeats its key.
    const isToken = typeof token === "string" && token !== "" && !token.startsWith("sb_");
    const claims = isToken ? await this.authority.claimsOf(token) : this.own;
    if (!await this.authority.mayListen(channel.name, claims)) {
      throw new Refusal(
        `Unauthorized: You do not have permissions to read from this Channel topic: ${channel.name}`,
      );
    }
    if (!this.#isOpen(channel)) return;
    channel.claims = claims;
    clearTimeout(channel.expiry);
    if (typeof claims.exp === "number") {
      const left = claims.exp * 1000 - Date.now();
      channel.expiry = setTimeout(
        () => this.#end(channel, "Token has expired"),
        Math.max(0, Math.min(left, longestTimer)),
      );
    }
  }

  async #broadcast(channel: Channel, message: Message): Promise<void> {
    const { event, payload } = message.payload;
    if (typeof event !== "string") return this.#refuse(message, "A broadcast has an event");
    // Whoever may not is not answered, there and here.
    if (!await this.authority.maySend(channel.name, channel.claims)) return;
    this.authority.send(channel.name, { event, payload: payload ?? {} }, this);
    if (channel.acknowledges) this.#reply(message, "ok");
  }

  /** Ends a channel that the client did not leave, and says why. */
  #end(channel: Channel, message: string): void {
    if (!this.#isOpen(channel)) return;
    this.#forget(channel);
    this.#push(channel, "system", { extension: "system", status: "error", message, channel: channel.name });
    this.#push(channel, "phx_close", {}, channel.joinRef);
  }

  #forget(channel: Channel): void {
    clearTimeout(channel.expiry);
    if (this.#isOpen(channel)) this.#channels.delete(channel.topic);
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function notHere(what: string): string {
  return `NotSupported: ${what} is no part of Realtime on this machine, nor used by Kinora`;
}
