/** What a simulator keeps while it is away. */
import * as z from "zod";

const job = z.looseObject({ startsAt: z.number(), endsAt: z.number() });
const delivery = z.looseObject({ dueAt: z.number() });
const providerState = z.looseObject({ jobs: z.array(job), deliveries: z.array(delivery).optional() });

/** Lets time pass for the generations and webhooks of a provider whose state is in this file. */
export async function elapseWhileAway(file: string, milliseconds: number): Promise<void> {
  const state = providerState.parse(JSON.parse(await Deno.readTextFile(file)));
  for (const each of state.jobs) {
    each.startsAt -= milliseconds;
    each.endsAt -= milliseconds;
  }
  for (const each of state.deliveries ?? []) each.dueAt -= milliseconds;
  await Deno.writeTextFile(file, JSON.stringify(state));
}
