import assert from "node:assert/strict";
import fc from "fast-check";
import { testDatabase } from "../harness.ts";
import { freezeClock, type FrozenClock } from "../support/frozen-clock.ts";
import { cheapModel } from "../support/jobs.ts";
import {
  capture,
  closeAccount,
  deduct,
  first,
  hold,
  openAccount,
  type Outcome,
  release,
  reverse,
  type Sql,
  violations,
} from "../support/ledger.ts";
import { LedgerModel, type ModelOutcome, type Snapshot } from "../support/ledger-model.ts";
import { propertyOptions } from "../../runs.ts";
import { runTask } from "../support/scheduled-tasks.ts";

const hour = 60 * 60 * 1000;

// Small numbers, so that credits run out, lots tie and expiries meet.
const amount = fc.integer({ min: 1, max: 12 });
/** Which of those there are, counted from the newest and round. */
const which = fc.nat({ max: 5 });
const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("add" as const),
      kind: fc.constantFrom("grant" as const, "purchase" as const, "refund" as const, "adjustment" as const),
      amount,
      expiresInHours: fc.option(fc.integer({ min: 1, max: 30 })),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("hold" as const), amount }) },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("end" as const),
      which,
      kind: fc.constantFrom("capture" as const, "release" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("deduct" as const), amount }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("reverse" as const), which }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("undo" as const), which }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant("reverseTo" as const), which, percent: fc.nat({ max: 100 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("extend" as const),
      which,
      hours: fc.integer({ min: -5, max: 30 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("pass" as const), hours: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("sweep" as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("repeat" as const), which }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("close" as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("merge" as const), into: fc.nat({ max: 2 }) }) },
);
/** One of three, who may become one another. What is for somebody who was merged is for the heir. */
const step = fc.record({ who: fc.nat({ max: 2 }), operation });
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

/** A user in the database and in the model, side by side, and what was done for them. */
class User {
  readonly model = new LedgerModel();
  readonly holds: { jobId: string; hold: NonNullable<ReturnType<LedgerModel["hold"]>[1]> }[] = [];
  readonly additions: { id: string; addition: ReturnType<LedgerModel["add"]>[1] }[] = [];
  readonly reversals: { id: string; reversal: NonNullable<ReturnType<LedgerModel["undo"]>[1]> }[] = [];
  /** Every call that was made, to be made again; a hold's only while its owner is one who may have jobs. */
  readonly calls: { call: () => Promise<Outcome>; outcome: Outcome; isHold: boolean }[] = [];
  /** Who they became. */
  heir: User | null = null;

  constructor(readonly id: string) {}

  /** Who they are by now. */
  get self(): User {
    return this.heir === null ? this : this.heir.self;
  }
}

/** The users, side by side with their models. */
class Pair {
  constructor(
    private readonly sql: Sql,
    private readonly clock: FrozenClock,
    private readonly users: readonly User[],
    private readonly startedAt: Date,
  ) {}

  static async create(sql: Sql, clock: FrozenClock): Promise<Pair> {
    const { now } = await first(sql<{ now: Date }[]>`select core.now() as now`);
    const users = [];
    for (let user = 0; user < 3; user++) users.push(new User(await openAccount(sql)));
    return new Pair(sql, clock, users, now);
  }

  /** Does the operation on both sides; rejects where they answer or end up differently. */
  async perform(who: number, operation: Operation): Promise<void> {
    const { sql } = this;
    // Named as who they were, and meant as who they are.
    const user = this.#user(who);
    const { model } = user.self;
    const userId = user.id;
    switch (operation.type) {
      case "add": {
        const { kind, amount, expiresInHours } = operation;
        const key = crypto.randomUUID();
        const expiresAt = expiresInHours === null
          ? null
          : new Date(this.startedAt.getTime() + (model.now + expiresInHours) * hour);
        const [expected, addition] = model.add(kind, amount, expiresInHours);
        const { transfer_id: id } = await this.#call(
          user,
          expected,
          () => addUntil(sql, userId, amount, { kind, key, expiresAt }),
        );
        if (id !== undefined && (kind === "grant" || kind === "purchase")) {
          user.additions.unshift({ id, addition });
        }
        break;
      }
      case "hold": {
        const jobId = crypto.randomUUID();
        const { id } = user.self;
        const [expected, held] = model.hold(operation.amount);
        await this.#call(user.self, expected, () => hold(sql, id, operation.amount, jobId), true);
        if (held === null) break;
        user.self.holds.unshift({ jobId, hold: held });
        await startJob(sql, id, jobId, operation.amount);
        break;
      }
      case "end": {
        const found = pick(user.holds, operation.which);
        if (found === undefined) break;
        const { jobId, hold } = found;
        const wasRunning = hold.end === null;
        await this.#call(
          user,
          model.end(hold, operation.kind),
          () => operation.kind === "capture" ? capture(sql, jobId) : release(sql, jobId),
        );
        if (wasRunning) await endJob(sql, jobId, operation.kind);
        break;
      }
      case "deduct": {
        const key = crypto.randomUUID();
        await this.#call(
          user,
          model.deduct(operation.amount),
          () => deduct(sql, userId, operation.amount, key),
        );
        break;
      }
      case "reverse": {
        const found = pick(user.additions, operation.which);
        if (found === undefined) break;
        const key = crypto.randomUUID();
        const [expected, reversal] = model.reverse(found.addition);
        const { transfer_id: id } = await this.#call(user, expected, () => reverse(sql, found.id, key));
        if (id !== undefined && reversal !== null) user.reversals.unshift({ id, reversal });
        break;
      }
      case "reverseTo": {
        const found = pick(
          user.additions.filter(({ addition }) => addition.kind === "purchase"),
          operation.which,
        );
        if (found === undefined) break;
        const amount = Math.floor(found.addition.amount * operation.percent / 100);
        model.reverseTo(found.addition, amount);
        // Twice: the second changes nothing.
        for (let call = 0; call < 2; call++) await sql`select credits.reverse_to(${found.id}, ${amount})`;
        break;
      }
      case "extend": {
        const found = pick(
          user.additions.filter(({ addition }) => addition.kind === "purchase"),
          operation.which,
        );
        if (found === undefined) break;
        const until = model.now + operation.hours;
        model.extend(found.addition, until);
        const expiresAt = new Date(this.startedAt.getTime() + until * hour);
        for (let call = 0; call < 2; call++) await sql`select credits.extend(${found.id}, ${expiresAt})`;
        break;
      }
      case "undo": {
        const found = pick(user.reversals, operation.which);
        if (found === undefined) break;
        const key = crypto.randomUUID();
        const [expected, undoing] = model.undo(found.reversal);
        const { transfer_id: id } = await this.#call(user, expected, () => reverse(sql, found.id, key));
        if (id !== undefined && undoing !== null) user.reversals.unshift({ id, reversal: undoing });
        break;
      }
      case "pass":
        for (const { model } of this.users) model.now += operation.hours;
        await this.clock.advance(operation.hours * hour);
        break;
      case "sweep":
        for (const { model } of this.users) model.expire();
        await runTask(sql, "expire_credits");
        break;
      case "repeat": {
        const found = pick(user.calls, operation.which);
        if (found === undefined || (found.isHold && user.heir !== null)) break;
        model.expire();
        assert.deepEqual(await found.call(), found.outcome, "a repeated call");
        break;
      }
      case "close":
        // A guest who was merged is not closed any more.
        if (model.isClosed || user.heir !== null) break;
        await this.#call(user, model.close(), () => closeAccount(sql, userId));
        break;
      case "merge": {
        const heir = this.#user(operation.into).self;
        if (user.heir !== null || heir === user || model.isClosed || heir.model.isClosed) break;
        const expected = heir.model.absorb(model);
        await this.#call(user, expected, () => merge(sql, userId, heir.id));
        user.heir = heir;
        break;
      }
    }
    for (const each of this.users) {
      const others = this.users.filter((other) => other.self === each.self).map(({ id }) => id);
      const expected = each.heir === null ? each.model.snapshot() : empty;
      assert.deepEqual(await this.#snapshot(each.id, each.heir === null ? others : []), expected);
    }
  }

  #user(which: number): User {
    const user = this.users[which];
    assert(user);
    return user;
  }

  async #call(
    user: User,
    expected: ModelOutcome & { moved?: number; owed?: number },
    call: () => Promise<Outcome>,
    isHold = false,
  ): Promise<Outcome> {
    const outcome = await call();
    const { transfer_id: _, ...answer } = outcome;
    assert.deepEqual(answer, expected);
    user.calls.unshift({ call, outcome, isHold });
    return outcome;
  }

  /** Of a user; `owners` are all whose postings are theirs. */
  async #snapshot(userId: string, owners: string[]): Promise<Snapshot> {
    const { snapshot } = await first(this.sql<{ snapshot: Snapshot }[]>`
      select jsonb_build_object(
        'available', (select a.balance from credits.accounts as a where a.owner_id = ${userId} and a.kind = 'available'),
        'owed', coalesce((select a.balance from credits.accounts as a where a.owner_id = ${userId} and a.kind = 'owed'), 0),
        'lots', coalesce((
          select jsonb_agg(
            jsonb_build_array(
              round(extract(epoch from l.expires_at - ${this.startedAt}) / 3600), l.remaining
            ) order by l.expires_at nulls last, l.id
          )
          from credits.lots as l
          join credits.accounts as a on a.id = l.account_id
          where a.owner_id = ${userId} and l.remaining > 0
        ), '[]'),
        'system', coalesce((
          select jsonb_object_agg(s.kind, s.balance)
          from (
            select a.kind, sum(e.amount) as balance
            from credits.transfers as t
            join credits.entries as e on e.transfer_id = t.id
            join credits.accounts as a on a.id = e.account_id and a.owner_id is null
            where t.owner_id = any (${owners}::uuid[])
            group by a.kind
            having sum(e.amount) <> 0
          ) as s
        ), '{}')
      ) as snapshot`);
    return snapshot;
  }
}

/** What a guest has who became somebody else. */
const empty: Snapshot = { available: 0, owed: 0, lots: [], system: {} };

async function merge(sql: Sql, guestId: string, heirId: string): Promise<Outcome> {
  return (await first(sql<{ outcome: Outcome }[]>`select credits.merge(${guestId}, ${heirId}) as outcome`))
    .outcome;
}

function pick<T>(items: readonly T[], which: number): T | undefined {
  return items[which % items.length];
}

/** Adds a lot until a time, which is the same one when the call is repeated. */
async function addUntil(
  sql: Sql,
  userId: string,
  amount: number,
  { kind, key, expiresAt }: { kind: string; key: string; expiresAt: Date | null },
): Promise<Outcome> {
  return (await first(sql<{ outcome: Outcome }[]>`
    select credits.add(${userId}, ${amount}, ${kind}, ${key}, ${expiresAt}) as outcome`))
    .outcome;
}

/** The job of a hold, without which the hold would be a violation. */
async function startJob(sql: Sql, userId: string, jobId: string, price: number): Promise<void> {
  await sql`
    insert into videos.jobs (
      id, user_id, model_id, model_name, status, prompt, settings, credits_used, request_id, created_at, due_at
    )
    values (
      ${jobId}, ${userId}, ${cheapModel}, 'A model', 'processing', 'a prompt', '{}', ${price}, 'test', core.now(), core.now()
    )`;
}

async function endJob(sql: Sql, jobId: string, kind: "capture" | "release"): Promise<void> {
  await sql`
    update videos.jobs
    set status = ${kind === "capture" ? "completed" : "cancelled"}, completed_at = core.now(), due_at = null
    where id = ${jobId}`;
}

Deno.test("any sequence of operations, of three users who may become one another, gives the balances, lots, debts and refusals of a simple model", async () => {
  await using database = await testDatabase();
  const { sql } = database;
  const clock = await freezeClock(database);
  // For the snapshots of many runs; the ledger itself never looks from an owner to their transfers.
  await sql`create index on credits.transfers (owner_id)`;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
      async (steps) => {
        const pair = await Pair.create(sql, clock);
        for (const { who, operation } of steps) await pair.perform(who, operation);
        assert.deepEqual(await violations(sql, false), []);
      },
    ),
    // Some 20 operations each: a second for the sample.
    propertyOptions(12, 1_000),
  );
  assert.deepEqual(await violations(sql), []);
});
