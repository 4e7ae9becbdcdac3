/**
 * What docs/purchases.md says about the lives of a subscription: made from those that tests/database/purchases/subscriptions_test.ts
 * plays, so that the document says what is tested.
 */
import { type LifeDeed, lives, type Seen } from "../../tests/database/support/subscription-lives.ts";
import { replaceParts, table } from "./markdown.ts";
import type { FromDatabase } from "./written.ts";

export const purchasesDocument: FromDatabase = {
  file: new URL("../../docs/purchases.md", import.meta.url),
  make: (_database, before) =>
    Promise.resolve(replaceParts(before, {
      "subscription states": statesPart(),
      "subscription lives": livesPart(),
    })),
};

/** From each state to each other that a life shows, with what leads there. */
function statesPart(): string {
  const edges = new Map<string, Set<string>>();
  for (const { steps, isNamed = true, isFamilyShared = false } of lives) {
    let before: string | undefined = "[*]";
    for (const [, deed, owner, other] of steps) {
      const subscription: string | null | undefined = owner?.subscription ?? other?.subscription;
      const after: string | undefined = subscription?.split(" ")[1];
      const why = reasonOf(deed);
      if (
        before !== undefined && after !== undefined && why !== null &&
        (before !== after || deed[0] !== "look")
      ) {
        const edge = `${before} --> ${after}`;
        edges.set(edge, (edges.get(edge) ?? new Set()).add(why));
      }
      // A state that a life does not tell is none that the next one follows, but for that in which each begins.
      const isBegun = deed[0] === "subscribe" && isNamed && !isFamilyShared;
      before = after ?? (isBegun ? "active" : why === null ? before : undefined);
    }
  }
  return [
    "```mermaid",
    "stateDiagram-v2",
    ...[...edges].map(([edge, reasons]) => `    ${edge}: ${[...reasons].join(" / ")}`),
    "```",
    "",
  ].join("\n");
}

/** What changes a subscription, in words; null for what does not. */
function reasonOf([deed, detail, which]: LifeDeed): string | null {
  switch (deed) {
    case "subscribe":
      return "subscribed";
    case "upgrade":
      return "another level, at once";
    case "downgrade":
      return "another level, from the next period on";
    case "renew":
      return "renewed";
    case "recover":
      return "paid after all";
    case "cancel":
      return "cancelled, until its end";
    case "expire":
      return "ended";
    case "end of grace":
      return "the grace is over";
    case "fail":
      return detail === undefined ? "a payment failed" : "a payment failed, with grace";
    case "refund":
      return which === undefined ? "its period is refunded" : "an earlier period is refunded";
    case "look":
      return "its end passes";
    case "refund reversed":
      return "the refund is reversed";
    default:
      return null;
  }
}

function livesPart(): string {
  const head = ["life", "day by day", "lots that are left, with the day of their end", "subscription"];
  return table(
    head,
    lives.map(({ name, steps }) => {
      const [, , owner, other] = steps.findLast(([, , ...seen]) => seen.some((each) => each !== undefined)) ??
        [];
      return [
        name,
        steps.filter(([, [deed]]) => deed !== "look").map(([at, deed]) => `${at}: ${wordsOf(deed)}`).join(
          "; ",
        ),
        [lotsOf(owner), other && `the other: ${lotsOf(other)}`].filter(Boolean).join("; "),
        [
          owner?.subscription,
          other?.subscription && `the other's: ${other.subscription}`,
        ].filter(Boolean).join("; ") || "–",
      ];
    }),
  ).join("\n");
}

function lotsOf(seen: Seen | undefined): string {
  if (seen === undefined) return "";
  const owed = seen.owed ? `${seen.owed} owed` : "";
  if (seen.lots === undefined) return owed || (seen.credits === undefined ? "–" : `${seen.credits}`);
  const lots = seen.lots.map(([end, credits]) =>
    end === null ? `${credits} for good` : `${credits} until ${end}`
  );
  return lots.join(", ") || "none";
}

function wordsOf(deed: LifeDeed): string {
  switch (deed[0]) {
    case "fail":
      return deed[1] === undefined ? "payment fails" : `payment fails, ${deed[1]} days of grace`;
    case "refund":
      return `refund of ${deed[1]} %${deed[2] === undefined ? "" : ` of period ${deed[2] + 1}`}`;
    case "ask for a refund":
    case "refund declined":
    case "refund reversed":
      return `${deed[0]}${deed[1] === undefined ? "" : ` of period ${deed[1] + 1}`}`;
    case "present":
      return `the ${deed[1]} presents it: \`${deed[2]}\``;
    case "close":
      return `the ${deed[1]}'s account closes`;
    case "spend":
    case "hold":
      return `${deed[0]} ${deed[1]}`;
    default:
      return deed.join(" ");
  }
}
