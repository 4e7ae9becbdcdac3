import * as z from "zod/mini";

export const ProviderWebhookQuery = z.strictObject({
  owner: z.guid(),
  provider: z.string(),
  submission_id: z.guid(),
  token: z.string(),
});
export type ProviderWebhookQuery = z.infer<typeof ProviderWebhookQuery>;

export const ProviderWebhookResponse = z.object({ received: z.literal(true) });
export type ProviderWebhookResponse = z.infer<typeof ProviderWebhookResponse>;
