import assert from "node:assert/strict";
import { AppError } from "./app-error.ts";
import { errorCodes, isErrorCode } from "./error-codes.ts";
import { errorResponse } from "./error-response.ts";

Deno.test("an error body has code, message, details and request id, and nothing else", async () => {
  const error = new AppError("ERR_4001", {
    details: { required: 4, available: 1, query: "select secret" },
    cause: new Error("relation credits.accounts does not exist"),
  });
  const response = errorResponse(error, "tr", "request-1");
  assert.equal(response.status, 402);
  assert.equal(response.headers.get("Content-Type"), "application/json");
  assert.deepEqual(await response.json(), {
    error: {
      code: "ERR_4001",
      message: "Krediniz yetersiz: bu işlem 4 kredi gerektiriyor, bakiyeniz 1.",
      details: { required: 4, available: 1 },
      request_id: "request-1",
    },
  });
});

Deno.test("an answer that asks to wait says how long in a header, too", () => {
  const limited = new AppError("ERR_4004", { details: { policy: "reads", retry_after: 7 } });
  assert.equal(errorResponse(limited, "en", "request-1").headers.get("Retry-After"), "7");
  const running = new AppError("ERR_4012", { details: { retry_after: 1 } });
  assert.equal(errorResponse(running, "en", "request-1").headers.get("Retry-After"), "1");
});

Deno.test("whatever tells a client to wait says how long, also where whoever failed did not", async () => {
  for (const code of Object.keys(errorCodes).filter(isErrorCode)) {
    const keys: readonly string[] = errorCodes[code].details;
    const waits = keys.includes("retry_after");
    assert.equal(
      [408, 425, 429, 503].includes(errorCodes[code].status) && code !== "ERR_5002",
      waits && code !== "ERR_4012",
    );
    const given = errorResponse(new AppError(code, { details: { retry_after: 9 } }), "en", "request-1");
    assert.equal(given.headers.get("Retry-After"), waits ? "9" : null, code);
    assert.equal((await given.json()).error.details.retry_after, waits ? 9 : undefined, code);
  }
  for (const [code, seconds] of [["ERR_6001", 2], ["ERR_6004", 300]] as const) {
    const response = errorResponse(
      new AppError(code, { details: { feature: "generation" } }),
      "en",
      "request-1",
    );
    assert.equal(response.headers.get("Retry-After"), `${seconds}`);
    assert.equal((await response.json()).error.details.retry_after, seconds);
  }
});

Deno.test("401 carries a challenge, and the error's own headers are kept", () => {
  const refused = errorResponse(new AppError("ERR_4005"), "en", "request-1");
  assert.equal(refused.headers.get("WWW-Authenticate"), "Bearer");
  const method = new AppError("ERR_4014", { headers: { Allow: "POST, OPTIONS" } });
  assert.equal(errorResponse(method, "en", "request-1").headers.get("Allow"), "POST, OPTIONS");
});
