import type { GenerationDatabase } from "../database/generation.ts";

const unexpected = () => Promise.reject(new Error("This test does not ask the database for that"));

/** The procedures that carry a job, of which a test gives those that it is about. */
export function fakeGeneration(given: Partial<GenerationDatabase> = {}): GenerationDatabase {
  return {
    claimSubmission: unexpected,
    recordModeration: unexpected,
    recordSubmission: unexpected,
    recordProviderEvent: unexpected,
    loadTask: unexpected,
    recordPoll: unexpected,
    recordCancel: unexpected,
    recordStored: unexpected,
    recordUnusableResult: unexpected,
    recordFilesDeleted: unexpected,
    loadErasure: unexpected,
    eraseAccount: unexpected,
    ...given,
  };
}
