import type { Documentation } from "../_shared/endpoint/documentation.ts";
import { exampleIds } from "../_shared/endpoint/example-ids.ts";
import type { AdministeredUser } from "../_shared/ops/contract.ts";

const user: AdministeredUser = {
  user: {
    user_id: exampleIds.user,
    is_guest: true,
    email: null,
    display_name: "Ada",
    language: "tr",
    theme_preference: "system",
    credits_remaining: 10,
    created_at: "2026-11-21T11:58:00.000Z",
    is_banned: false,
    closed_at: null,
    merged_into: null,
  },
  guests: [],
  credits: { remaining: 10, held: 0, owed: 0 },
  jobs: { pending: 0, processing: 0, completed: 1, failed: 0, cancelled: 0 },
  legal_hold: null,
  erasure: null,
  recent_actions: [{
    id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a78",
    action: "refund_credits",
    admin_id: exampleIds.admin,
    amount: 4,
    reason: "The video flickers from the first second on",
    job_id: exampleIds.job,
    created_at: "2026-11-21T12:10:00.000Z",
  }],
  lots: [{ lot_id: 1042, amount: 10, remaining: 10, expires_at: null, is_sandbox: false }],
  statement: [{
    id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a77",
    amount: 10,
    kind: "grant",
    balance_after: 10,
    job_id: null,
    created_at: "2026-11-21T11:58:00.000Z",
  }],
  purchases: [],
  sessions: [{
    created_at: "2026-11-21T11:58:00.000Z",
    last_used_at: "2026-11-21T11:58:00.000Z",
    user_agent: null,
  }],
  devices: { registered: 0, first_granted_at: "2026-11-21T11:58:10.000Z" },
};

export default {
  GET: {
    description:
      "`recent_actions` are the newest 20; `admin_id` is null for what was done by hand in the dashboard. `jobs` counts those that " +
      "the user has not deleted. `is_guest` and `email` are null once a closed account is erased. `statement` and `purchases` have " +
      "the newest 50 and 20, also purchases that were not credited, with the `reason`. `erasure` says what a closed " +
      "account's erasure waits for: the end of a `legal_hold`, its running `jobs`, the `uploads` whose URLs still write, or the `worker`.",
    query: { user_id: exampleIds.user },
    responses: { 200: user },
  },
  POST: {
    description:
      "A ban stops new videos and ends the sessions; a token that still lives gets `ERR_4017`. Videos that were accepted go on. An " +
      "admin cannot be banned, oneself included: `ERR_4006`. A closed account is `ERR_4009` with the status `closed`. Answers like " +
      "`GET`; what changes nothing is not written down. `hold` keeps what there is of the user, also of a closed account that is not " +
      "erased yet, until `lift_hold`: what they delete meanwhile is hidden, and its files stay. The user is not told.",
    request: { user_id: exampleIds.user, action: "ban", reason: "Sells videos of real people" },
    responses: {
      200: {
        ...user,
        user: { ...user.user, is_banned: true },
        recent_actions: [{
          id: "019ab3f2-5c1e-7d40-9f67-3b1f0c5f2a79",
          action: "ban",
          admin_id: exampleIds.admin,
          amount: null,
          reason: "Sells videos of real people",
          job_id: null,
          created_at: "2026-11-21T12:20:00.000Z",
        }, ...user.recent_actions],
      },
    },
  },
} satisfies Documentation;
