import * as z from "zod";

export const ProviderWebhookQuery = z.strictObject({
  provider: z.string().max(20),
  submission_id: z.uuid(),
  token: z.string().max(100),
});
export type ProviderWebhookQuery = z.infer<typeof ProviderWebhookQuery>;

export const ProviderWebhookResponse = z.object({ received: z.literal(true) });
export type ProviderWebhookResponse = z.infer<typeof ProviderWebhookResponse>;
