/** The policies' names; their limits are rows that the operator can change. */
export const policyNames = [
  "video_generation",
  "generation_attempts",
  "generation_attempts_network",
  "device_check",
  "device_check_network",
  "device_grants",
  "reads",
  "writes",
  "admin",
  "admin_credits",
] as const;

export type PolicyName = (typeof policyNames)[number];
