import * as z from "zod/mini";
import { Reason, UserId } from "../_shared/ops/contract.ts";

export const AdminUserQuery = z.strictObject({ user_id: UserId });
export type AdminUserQuery = z.infer<typeof AdminUserQuery>;

export const BanUserRequest = z.strictObject({
  user_id: UserId,
  action: z.enum(["ban", "unban", "hold", "lift_hold"]),
  reason: Reason,
});
export type BanUserRequest = z.infer<typeof BanUserRequest>;
