import * as z from "zod/mini";
import { PushEnvironment, PushToken } from "../_shared/notify/contract.ts";

export const PushTokensRequest = z.strictObject({ token: PushToken, environment: PushEnvironment });
export type PushTokensRequest = z.infer<typeof PushTokensRequest>;

export const PushTokensQuery = z.strictObject({ token: PushToken });
export type PushTokensQuery = z.infer<typeof PushTokensQuery>;
