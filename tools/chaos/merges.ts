/** Guests of other devices, who become the client while everything fails: each comes once, with a video that runs. */
import { setTimeout as pause } from "node:timers/promises";
import type postgres from "postgres";
import type { Stack } from "../../local/stack.ts";
import { answer, type Client, model, newClient, type Tally } from "./client.ts";

/** What each of them brings: two videos and a rest. */
export const guestCredits = 10;
const guestsEach = 2;
/** Milliseconds between two of them at most. */
const maxPause = 1_500;

/** Makes somebody of a client, and their guests of other devices, while nothing fails yet. */
export async function prepareGuests(
  client: Client,
  { stack, sql, tally }: { stack: Stack; sql: postgres.Sql; tally: Tally },
): Promise<Client[]> {
  const token = await stack.simulators.appleId.identityToken({ sub: client.userId });
  const { error } = await client.supabase.auth.linkIdentity({ provider: "apple", token });
  if (error !== null) throw error;
  const guests: Client[] = [];
  for (let number = 1; number <= guestsEach; number++) {
    const guest = await newClient(stack, `${client.name}, device ${number}`, tally);
    await sql`select accounts.admit(${guest.userId}), credits.add_credits(${guest.userId}, ${guestCredits}, 'for a chaos run')`;
    guests.push(guest);
  }
  return guests;
}

/** Merges them one after the other, each with a video that may be running. Gives what went wrong into the tally. */
export async function mergeGuests(
  client: Client,
  guests: readonly Client[],
  { tally, random }: { tally: Tally; random: () => number },
): Promise<void> {
  for (const guest of guests) {
    await pause(random() * maxPause);
    const prompt = `${guest.name}.`;
    const accepted = await answer(
      guest,
      tally,
      (options) => guest.kinora.generate({ model_id: model, prompt }, options),
    );
    if (accepted !== null) tally.accepted.set(accepted.job_id, prompt);
    const merged = await answer(
      client,
      tally,
      async (options) => await client.kinora.account.merge(await freshToken(guest), options),
    );
    if (merged !== null && merged.merged_user_id !== guest.userId) {
      tally.surprises.push(`${guest.name} was merged as ${merged.merged_user_id}`);
    }
  }
}

/** At most 5 minutes old; asked for until Auth is there. */
async function freshToken({ supabase }: Client): Promise<string> {
  for (;;) {
    const { data } = await supabase.auth.refreshSession();
    if (data.session !== null) return data.session.access_token;
    await pause(200);
  }
}
