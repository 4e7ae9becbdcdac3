import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { requireAdmin } from "./admin-auth.ts";
import type { UserCaller } from "../endpoint/context.ts";
import { sessionId, userId } from "../testing/tokens.ts";

const outcome = (given: Partial<UserCaller>, adminAssuranceLevel: "aal1" | "aal2") => {
  const caller: UserCaller = {
    kind: "user",
    userId,
    sessionId,
    isAnonymous: false,
    assuranceLevel: "aal1",
    ...given,
  };
  try {
    return requireAdmin(caller, { adminAssuranceLevel }) === caller;
  } catch (error) {
    assert(error instanceof AppError);
    assert.notEqual(error.cause, undefined, "the log is told why");
    return error.code;
  }
};

Deno.test("an admin has a second factor, unless the configuration says that there is none", () => {
  assert.equal(outcome({ assuranceLevel: "aal2" }, "aal2"), true);
  assert.equal(outcome({}, "aal2"), "ERR_4006");
  assert.equal(outcome({}, "aal1"), true);
  assert.equal(outcome({ assuranceLevel: "aal2" }, "aal1"), true);
});

Deno.test("a guest is no admin, whatever else their token says", () => {
  assert.equal(outcome({ isAnonymous: true, assuranceLevel: "aal2" }, "aal2"), "ERR_4006");
  assert.equal(outcome({ isAnonymous: true }, "aal1"), "ERR_4006");
});
