/** What a server is sent of an event. */
import * as z from "zod/mini";

export const ToldEvent = z.object({
  id: z.uuid(),
  type: z.string(),
  user_id: z.nullable(z.guid()),
  data: z.looseObject({}),
  created_at: z.string(),
});
export type ToldEvent = z.infer<typeof ToldEvent>;

/** What Standard Webhooks asks a payload to stay below. */
export const maxMessageBytes = 20_000;

/** The body for the server at `url`: the event, or, where a chat takes messages there, the words that it shows. */
export function messageFor(url: string, event: ToldEvent): string {
  const host = URL.parse(url)?.hostname ?? "";
  if (host === "hooks.slack.com") return JSON.stringify({ text: escapeForSlack(inWords(event)) });
  if (["discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com"].includes(host)) {
    return JSON.stringify({ content: inWords(event), allowed_mentions: { parse: [] } });
  }
  const { id, type, user_id, data, created_at } = event;
  return JSON.stringify({ id, type, timestamp: created_at, user_id, data });
}

/** Discord takes 2,000 characters, and Slack cuts at 40,000. */
const maxWords = 1_500;

function inWords({ type, data }: ToldEvent): string {
  const { rule, subject, level, value, threshold } = data;
  const isAlert = typeof rule === "string" && typeof subject === "string";
  const measured = typeof value === "number" ? `, ${value} (bound ${threshold})` : "";
  const what = isAlert ? `${rule}: ${subject}${measured}` : JSON.stringify(data);
  const title = {
    "alert.raised": level === "critical" ? "Critical alert" : "Alert",
    "alert.resolved": "Resolved",
    "alert.acknowledged": "Acknowledged",
    "webhook.test": "A test",
  }[type] ?? type;
  const text = `Kinora. ${title}: ${what}`;
  return text.length > maxWords ? `${text.slice(0, maxWords)}…` : text;
}

/** Slack's three control characters: without them nobody can be called by `<!channel>`. */
function escapeForSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
