/** The procedures behind the operator's endpoints. Each asks whether the caller is an admin. */
import type { Idempotency, Port } from "../endpoint/context.ts";
import type { CatalogueModel } from "./videos.ts";
import { procedures } from "./procedures.ts";
import type { Profile } from "./profiles.ts";

/** Who acts, and why: what is written down about every action. */
export interface AdminAct {
  readonly adminId: string;
  readonly requestId: string;
  readonly reason: string;
}

export interface CreditsAct extends AdminAct {
  readonly idempotency: Idempotency;
  /** Whose credits. */
  readonly userId: string;
  /** Credits. */
  readonly amount: number;
}

export interface MovedCredits {
  /** The transfer of the ledger. */
  transaction_id: string;
  new_balance: number;
}

export const adminActions = [
  "make_admin",
  "remove_admin",
  "refund_credits",
  "adjust_credits",
  "enable_model",
  "disable_model",
  "ban",
  "unban",
] as const;

export interface AdministeredUser {
  /** `is_guest` is null once Auth knows them no more. */
  user: Profile & { is_guest: boolean | null; is_banned: boolean; closed_at: string | null };
  credits: { remaining: number; held: number; owed: number };
  jobs: { pending: number; processing: number; completed: number; failed: number; cancelled: number };
  /** The newest 20. */
  recent_actions: {
    id: string;
    action: (typeof adminActions)[number];
    /** Null where it was done by hand in the dashboard. */
    admin_id: string | null;
    amount: number | null;
    reason: string;
    job_id: string | null;
    created_at: string;
  }[];
}

/** All of them throw ERR_4004, 4005, 4006 and 4017. */
export interface AdminDatabase {
  /** Throws ERR_4007, 4008, 4009, 4011 and 4012. */
  refundCredits(act: CreditsAct & { readonly jobId: string | null }): Promise<MovedCredits>;
  /** Throws ERR_4001, 4007, 4009, 4011 and 4012. */
  adjustCredits(act: CreditsAct): Promise<MovedCredits>;
  /** Throws ERR_4002. */
  changeModel(
    act: AdminAct & { readonly modelId: string; readonly isAvailable: boolean },
  ): Promise<CatalogueModel & { is_available: boolean }>;
  /** Throws ERR_4007. */
  readUser(adminId: string, userId: string): Promise<AdministeredUser>;
  /** Throws ERR_4007 and 4009. */
  banUser(act: AdminAct & { readonly userId: string; readonly isBanned: boolean }): Promise<AdministeredUser>;
}

export const admin: Port<AdminDatabase> = (runtime) => {
  const call = procedures(runtime);
  const actArguments = ({ adminId, requestId, reason }: AdminAct) => ({
    p_admin_id: adminId,
    p_request_id: requestId,
    p_reason: reason,
  });
  const creditsArguments = (act: CreditsAct) => ({
    ...actArguments(act),
    p_idempotency_key: act.idempotency.key,
    p_fingerprint: act.idempotency.fingerprint,
    p_user_id: act.userId,
    p_amount: act.amount,
  });
  return {
    refundCredits: (act) => call("admin_refund_credits", { ...creditsArguments(act), p_job_id: act.jobId }),
    adjustCredits: (act) => call("admin_adjust_credits", creditsArguments(act)),
    changeModel: (act) =>
      call("admin_models", {
        ...actArguments(act),
        p_model_id: act.modelId,
        p_is_available: act.isAvailable,
      }),
    readUser: (adminId, userId) => call("get_admin_users", { p_admin_id: adminId, p_user_id: userId }),
    banUser: (act) =>
      call("post_admin_users", {
        ...actArguments(act),
        p_user_id: act.userId,
        p_is_banned: act.isBanned,
      }),
  };
};
