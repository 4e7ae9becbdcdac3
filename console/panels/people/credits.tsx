/** What an admin does with credits: it is posted once, whatever becomes of the answer. */
import type { ComponentChildren } from "preact";
import { Change } from "../../parts/change.tsx";
import { creditsOf, numberOf } from "../../parts/figures.tsx";
import { call } from "../../session/session.ts";

/** The API's bound of one change. */
const maxCredits = 10_000;

export function Refund({ userId, jobId, amount, changed, children }: {
  userId: string;
  /** Of a completed job, which can be refunded once, and at most what it cost. */
  jobId?: string;
  /** What is offered. */
  amount?: number;
  changed: () => void;
  children?: ComponentChildren;
}) {
  return (
    <Change
      label="Refund"
      title={jobId === undefined ? `Refund the user ${userId}` : `Refund the job ${jobId}`}
      run={async ({ reason, form, key }) => {
        const credits = Number(form.get("amount"));
        const { new_balance } = await call("POST", "admin-refund-credits", {
          body: { user_id: userId, amount: credits, reason, ...(jobId !== undefined && { job_id: jobId }) },
          key,
        });
        return `Refunded ${creditsOf(credits)} to the user ${userId}. Their balance is ${
          numberOf(new_balance)
        }.`;
      }}
      changed={changed}
    >
      {children}
      <label>
        Credits
        <input
          name="amount"
          type="number"
          min={1}
          max={jobId === undefined ? maxCredits : amount}
          defaultValue={amount === undefined ? undefined : `${amount}`}
          required
        />
      </label>
    </Change>
  );
}

export function Adjust({ userId, changed }: { userId: string; changed: () => void }) {
  return (
    <Change
      label="Adjust"
      title={`Adjust the credits of the user ${userId}`}
      run={async ({ reason, form, key }) => {
        const amount = Number(form.get("amount"));
        const { new_balance } = await call("POST", "admin-adjust-credits", {
          body: { user_id: userId, amount, reason },
          key,
        });
        return `Adjusted the user ${userId} by ${creditsOf(amount)}. Their balance is ${
          numberOf(new_balance)
        }.`;
      }}
      changed={changed}
    >
      <label>
        Credits, negative to take them away
        <input name="amount" type="number" min={-maxCredits} max={maxCredits} required />
      </label>
    </Change>
  );
}
