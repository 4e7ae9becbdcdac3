import type { Config } from "../_shared/platform/config.ts";
import type { Answer, Context } from "../_shared/endpoint/context.ts";
import { actor, type Database } from "../_shared/database/call.ts";
import { moderatorOf } from "../_shared/videos/moderation/moderation.ts";
import { ModelsResponse } from "./schema.ts";

type ModelsContext = Context<"user"> & { database: Database };

/** The catalogue is the same for everybody; so old may a change of it be before clients see it. */
const memoryMilliseconds = 60_000;

/** Outlives a request, as the configuration does. What is being asked for is remembered, too. */
const memories = new WeakMap<Config, { catalogue: Promise<ModelsResponse>; until: number }>();

/**
 * Answers from memory for up to a minute, without asking the database; requests at the same time share one question.
 * A refusal is its caller's own: whoever waited for somebody else's question asks their own then.
 */
export async function listModels(
  _input: unknown,
  context: ModelsContext,
): Promise<Answer<ModelsResponse>> {
  const memory = memories.get(context.config);
  const isFresh = memory !== undefined && context.now() < memory.until;
  // Without waiting where there is no memory, so that of two requests at once the second finds the first one's.
  // A failure is remembered as nothing: the next to ask takes its place.
  const remembered = isFresh ? await memory.catalogue.catch(() => null) : null;
  return { status: 200, body: remembered ?? await ask(context) };
}

function ask(context: ModelsContext): Promise<ModelsResponse> {
  const args = { ...actor(context), p_moderated_by: moderatorOf(context.config) };
  const catalogue = context.database.call("models", args, ModelsResponse);
  memories.set(context.config, { until: context.now() + memoryMilliseconds, catalogue });
  return catalogue;
}
