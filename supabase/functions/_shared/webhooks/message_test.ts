import assert from "node:assert/strict";
import { eventTypeNames, eventTypes } from "../events/catalogue.ts";
import { maxMessageBytes, messageFor, type ToldEvent } from "./message.ts";

const event = (type: string, data: Record<string, unknown>): ToldEvent => ({
  id: "0197a3c1-5b2e-7c40-8f13-6d9be0a4c752",
  type,
  user_id: "5b0f4c1e-2f63-4a0e-9a3e-7d3c5d9e6b10",
  data,
  created_at: "2026-11-21T12:00:00.000Z",
});
const server = "https://hooks.example.com/kinora";

Deno.test("a server is sent the event whole, and every type stays far below what a message may have", () => {
  for (const name of eventTypeNames) {
    const { id, user_id, data, created_at } = event(name, { ...eventTypes[name].example() });
    const message = messageFor(server, event(name, data));
    assert.deepEqual(JSON.parse(message), { id, type: name, timestamp: created_at, user_id, data });
    assert(message.length < maxMessageBytes / 10);
  }
});

Deno.test("an alert is told to Slack and Discord in the form that each takes", () => {
  const alert = event("alert.raised", { rule: "provider_refuses", subject: "fal" });
  const text = "Kinora. Alert: provider_refuses: fal";
  const slack = "https://hooks.slack.com/services/T0/B0/x";
  assert.deepEqual(JSON.parse(messageFor(slack, alert)), { text });
  for (const host of ["discord.com", "discordapp.com", "canary.discord.com"]) {
    const message = JSON.parse(messageFor(`https://${host}/api/webhooks/1/x`, alert));
    assert.deepEqual(message, { content: text, allowed_mentions: { parse: [] } });
  }
  for (const lookalike of ["hooks.slack.com.example.com", "xdiscord.com", "slack.com.evil.example.com"]) {
    assert("data" in JSON.parse(messageFor(`https://${lookalike}/`, alert)), lookalike);
  }
});

Deno.test("a chat is told how bad an alert is, what was measured, and when it has become worse", () => {
  const words = (type: string, level: string) => {
    const data = { rule: "spending", subject: "fal", level, metric: "spending_percent" };
    const measured = {
      ...data,
      value: level === "critical" ? 101.5 : 83,
      threshold: level === "critical" ? 100 : 80,
    };
    return JSON.parse(messageFor("https://hooks.slack.com/services/T0/B0/x", event(type, measured))).text;
  };
  assert.equal(words("alert.raised", "warning"), "Kinora. Alert: spending: fal, 83 (bound 80)");
  assert.equal(words("alert.raised", "critical"), "Kinora. Critical alert: spending: fal, 101.5 (bound 100)");
  assert.equal(words("alert.resolved", "critical"), "Kinora. Resolved: spending: fal, 101.5 (bound 100)");
  assert.equal(words("alert.acknowledged", "warning"), "Kinora. Acknowledged: spending: fal, 83 (bound 80)");
});

Deno.test("what a chat is told calls nobody, and fits however long it is", () => {
  const loud = event("alert.raised", {
    rule: "a_rule",
    subject: `<!channel> & @everyone ${"x".repeat(5_000)}`,
  });
  const { text } = JSON.parse(messageFor("https://hooks.slack.com/services/x", loud));
  assert.match(text, /&lt;!channel&gt; &amp; @everyone/);
  const { content } = JSON.parse(messageFor("https://discord.com/api/webhooks/1/x", loud));
  assert(content.length <= 2_000);
});
