/**
 * Lives of a subscription, as data: what happens on which day, and what whoever has it sees then. The tests play them, and the
 * diagram of docs/purchases.md is made from them.
 */
import type { Level } from "./subscription-store.ts";

/** `owner` is named by the purchase: a guest, or where a life says so a user with an identity. `other` is a guest. */
export type Who = "owner" | "other";

export type LifeDeed =
  /** A purchase, of a level, with an offer or none. */
  | ["subscribe", Level, ("trial" | "paid trial")?]
  | ["upgrade" | "downgrade", Level]
  | ["renew" | "recover" | "cancel" | "expire" | "end of grace" | "revoke"]
  /** The payment for the next period fails, with days of grace or none. */
  | ["fail", number?]
  /** Of so many percent, of the period with that number, from 0. */
  | ["refund", number, number?]
  | ["ask for a refund" | "refund declined" | "refund reversed", number?]
  | ["buy a pack"]
  /** The app presents the latest period, and is told this. */
  | ["present", Who, string]
  | ["close", Who]
  /** A video takes so much; it is delivered. */
  | ["spend", number]
  | ["hold", number]
  | ["fail the video"]
  | ["look"];

/** What a user sees. Lots as `[day of their end, credits]`; purchases newest first. */
export interface Seen {
  readonly credits?: number;
  readonly owed?: number;
  readonly lots?: readonly (readonly [number | null, number])[];
  /** Level, status, day of the end, and "renews" where Apple will; null where they have none. */
  readonly subscription?: string | null;
  readonly purchases?: readonly string[];
}

export interface Life {
  readonly name: string;
  readonly owner?: "guest" | "user";
  readonly isNamed?: boolean;
  readonly isFamilyShared?: boolean;
  /** The day, what happens, what the owner sees then, and what the other does. */
  readonly steps: readonly (readonly [number, LifeDeed, Seen?, Seen?])[];
}

const bought = ["basic credited 100"];

export const lives: readonly Life[] = [
  {
    name: "first purchase",
    steps: [[0, ["subscribe", "basic"], {
      credits: 100,
      lots: [[33, 100]],
      subscription: "basic active 30 renews",
      purchases: bought,
    }]],
  },
  {
    name: "renewal: each period is a lot of its own, which ends three days after it",
    steps: [
      [0, ["subscribe", "basic"]],
      [10, ["spend", 60], { credits: 40 }],
      [30, ["renew"], {
        lots: [[33, 40], [63, 100]],
        subscription: "basic active 60 renews",
        purchases: [...bought, ...bought],
      }],
      [34, ["look"], { credits: 100, lots: [[63, 100]] }],
    ],
  },
  {
    name: "free trial, and the first period that is paid",
    steps: [
      [0, ["subscribe", "basic", "trial"], {
        lots: [[10, 20]],
        subscription: "basic active 7 renews",
        purchases: ["basic credited 20"],
      }],
      [7, ["renew"], {
        credits: 120,
        lots: [[10, 20], [40, 100]],
        subscription: "basic active 37 renews",
        purchases: ["basic credited 100", "basic credited 20"],
      }],
    ],
  },
  {
    name: "free trial that is cancelled, and another one: it pays once",
    steps: [
      [0, ["subscribe", "basic", "trial"], { credits: 20 }],
      [1, ["cancel"], { subscription: "basic active 7" }],
      [7, ["expire"], { lots: [[10, 20]], subscription: "basic expired 7" }],
      [50, ["subscribe", "basic", "trial"], {
        credits: 0,
        lots: [],
        subscription: "basic active 57 renews",
        purchases: ["basic credited 0", "basic credited 20"],
      }],
    ],
  },
  {
    name: "trial that is paid brings what a period does",
    steps: [[0, ["subscribe", "basic", "paid trial"], { lots: [[10, 100]], purchases: bought }]],
  },
  {
    name: "upgrade in the middle of a period takes the half that was left",
    steps: [
      [0, ["subscribe", "basic"]],
      [15, ["upgrade", "plus"], {
        credits: 350,
        lots: [[33, 50], [48, 300]],
        subscription: "plus active 45 renews",
        purchases: ["plus credited 300", "basic partially_refunded 100"],
      }],
      [45, ["renew"], { lots: [[48, 300], [78, 300]], subscription: "plus active 75 renews" }],
    ],
  },
  {
    name: "upgrade of a period that is spent takes the half that was left from the new one",
    steps: [
      [0, ["subscribe", "basic"]],
      [1, ["spend", 90], { credits: 10 }],
      [15, ["upgrade", "plus"], { credits: 260, owed: 0, lots: [[48, 260]] }],
    ],
  },
  {
    name: "upgrade from a trial takes what was left of the trial's",
    steps: [
      [0, ["subscribe", "basic", "trial"]],
      [3.5, ["upgrade", "plus"], { credits: 310, lots: [[10, 10], [36.5, 300]] }],
    ],
  },
  {
    name: "upgrade of an upgrade takes of each what was left",
    steps: [
      [0, ["subscribe", "basic"]],
      [6, ["upgrade", "other"], { lots: [[33, 20], [39, 100]] }],
      [21, ["upgrade", "plus"], {
        lots: [[33, 20], [39, 50], [54, 300]],
        purchases: ["plus credited 300", "other partially_refunded 100", "basic partially_refunded 100"],
      }],
    ],
  },
  {
    name: "downgrade in the middle of a period waits for the next",
    steps: [
      [0, ["subscribe", "plus"]],
      [10, ["downgrade", "basic"], { lots: [[33, 300]], subscription: "plus active 30 renews" }],
      [30, ["renew"], { lots: [[33, 300], [63, 100]], subscription: "basic active 60 renews" }],
    ],
  },
  {
    name: "cross-grade is as an upgrade, rounded so that it earns nothing",
    steps: [
      [0, ["subscribe", "basic"]],
      [10, ["upgrade", "other"], {
        lots: [[33, 33], [43, 100]],
        subscription: "other active 40 renews",
        purchases: ["other credited 100", "basic partially_refunded 100"],
      }],
    ],
  },
  {
    name: "grace keeps the credits alive until the payment succeeds",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["fail", 16], { lots: [[46, 100]], subscription: "basic in_grace 46" }],
      [40, ["recover"], { lots: [[46, 100], [73, 100]], subscription: "basic active 70 renews" }],
    ],
  },
  {
    name: "grace of three days adds none",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["fail", 3], { lots: [[33, 100]], subscription: "basic in_grace 33" }],
    ],
  },
  {
    name: "grace that is told late gives back what had expired",
    steps: [
      [0, ["subscribe", "basic"]],
      [34, ["look"], { credits: 0, subscription: "basic expired 30" }],
      [35, ["fail", 16], { credits: 100, lots: [[46, 100]], subscription: "basic in_grace 46" }],
    ],
  },
  {
    name: "grace and billing retry without recovery",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["fail", 16], { subscription: "basic in_grace 46" }],
      [46, ["end of grace"], { credits: 0, lots: [], subscription: "basic in_billing_retry 30" }],
      [90, ["expire"], { credits: 0, subscription: "basic expired 30" }],
    ],
  },
  {
    name: "a refund of period 1 is asked for while period 2 is in grace: what period 1 left stays expired",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["renew"]],
      [60, ["fail", 16], { lots: [[76, 100]], subscription: "basic in_grace 76" }],
      [61, ["ask for a refund", 0], { credits: 100, lots: [[76, 100]] }],
      [62, ["refund declined", 0], { credits: 100, lots: [[76, 100]] }],
      [63, ["refund", 50, 0], { credits: 100, lots: [[76, 100]] }],
      // What a reversal gives back of what is over lives for a day, and no longer.
      [64, ["refund reversed", 0]],
      [65.5, ["look"], { credits: 100, lots: [[76, 100]], subscription: "basic in_grace 76" }],
    ],
  },
  {
    name: "billing retry with recovery: a gap between two periods",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["fail"], { lots: [[33, 100]], subscription: "basic in_billing_retry 30" }],
      [45, ["recover"], { lots: [[78, 100]], subscription: "basic active 75 renews" }],
    ],
  },
  {
    name: "cancelled: it runs to its end, and is over then",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["cancel"], { credits: 100, subscription: "basic active 30" }],
      [30, ["expire"], { lots: [[33, 100]], subscription: "basic expired 30" }],
      [33, ["look"], { credits: 0, lots: [], subscription: "basic expired 30" }],
    ],
  },
  {
    name: "refund of one period leaves the next",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["renew"]],
      [31, ["refund", 100, 0], {
        lots: [[63, 100]],
        subscription: "basic active 60 renews",
        purchases: ["basic credited 100", "basic refunded 100"],
      }],
    ],
  },
  {
    name: "refund of the period that runs, after most of it was spent: a debt, which the next period pays",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["spend", 70]],
      [6, ["refund", 100], {
        credits: 0,
        owed: 70,
        subscription: "basic revoked 30",
        purchases: ["basic refunded 100"],
      }],
      [40, ["subscribe", "basic"], {
        credits: 30,
        owed: 0,
        lots: [[73, 30]],
        subscription: "basic active 70 renews",
      }],
    ],
  },
  {
    name: "refund of a period whose rest had expired takes only what was spent",
    steps: [
      [0, ["subscribe", "basic"]],
      [1, ["spend", 40]],
      [30, ["renew"], { credits: 160 }],
      [40, ["refund", 100, 0], { credits: 60, owed: 0, lots: [[63, 60]] }],
    ],
  },
  {
    name: "prorated refund",
    steps: [
      [0, ["subscribe", "basic"]],
      [15, ["refund", 50], {
        lots: [[33, 50]],
        subscription: "basic revoked 30",
        purchases: ["basic partially_refunded 100"],
      }],
    ],
  },
  {
    name: "refund that is reversed gives all of it back",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["spend", 70]],
      [6, ["refund", 100], { owed: 70, subscription: "basic revoked 30" }],
      [8, ["refund reversed"], {
        credits: 30,
        owed: 0,
        lots: [[33, 30]],
        subscription: "basic active 30 renews",
        purchases: bought,
      }],
    ],
  },
  {
    name: "refund that is reversed after bought credits have paid its debt: those are for good again",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["spend", 70]],
      [6, ["refund", 100], { owed: 70 }],
      [8, ["buy a pack"], { owed: 0, lots: [[null, 30]] }],
      [9, ["refund reversed"], { lots: [[33, 30], [null, 100]], subscription: "basic active 30 renews" }],
    ],
  },
  {
    name: "re-subscription after a gap",
    steps: [
      [0, ["subscribe", "basic"]],
      [30, ["expire"], { subscription: "basic expired 30" }],
      [60, ["subscribe", "plus"], {
        lots: [[93, 300]],
        subscription: "plus active 90 renews",
        purchases: ["plus credited 300", "basic credited 100"],
      }],
    ],
  },
  {
    name: "restore by the same user changes nothing",
    steps: [
      [0, ["subscribe", "basic"]],
      [10, ["present", "owner", "already_credited"], {
        lots: [[33, 100]],
        subscription: "basic active 30 renews",
      }],
    ],
  },
  {
    name: "restore when the owner's account is closed: the periods to come move",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["close", "owner"], { credits: 0 }],
      [10, ["present", "other", "other_account"], { credits: 0 }, {
        credits: 0,
        subscription: "basic active 30 renews",
        purchases: [],
      }],
      [30, ["renew"], { credits: 0 }, { lots: [[63, 100]], subscription: "basic active 60 renews" }],
    ],
  },
  {
    name: "restore of a period that came when the owner's account was closed: it is not lost",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["close", "owner"]],
      [30, ["renew"], { credits: 0 }, { credits: 0, subscription: null }],
      [31, ["present", "other", "credited"], { credits: 0 }, { lots: [[63, 100]], purchases: bought }],
    ],
  },
  {
    name:
      "restore by another guest when the owner is a guest: the periods to come move, what was credited stays",
    steps: [
      [0, ["subscribe", "basic"]],
      [10, ["present", "other", "other_account"], {
        lots: [[33, 100]],
        subscription: null,
        purchases: bought,
      }, {
        credits: 0,
        subscription: "basic active 30 renews",
        purchases: [],
      }],
      [30, ["renew"], { lots: [[33, 100]] }, {
        lots: [[63, 100]],
        subscription: "basic active 60 renews",
        purchases: bought,
      }],
      [31, ["refund", 100, 0], { credits: 0, owed: 0 }, { lots: [[63, 100]] }],
      [40, ["present", "owner", "other_account"], { subscription: "basic active 60 renews" }, {
        lots: [[63, 100]],
        subscription: null,
      }],
    ],
  },
  {
    name: "upgrade after a restore takes what was left from whom it was credited to",
    steps: [
      [0, ["subscribe", "basic"]],
      [10, ["present", "other", "other_account"]],
      [15, ["upgrade", "plus"], { lots: [[33, 50]] }, {
        lots: [[48, 300]],
        purchases: ["plus credited 300"],
      }],
    ],
  },
  {
    name: "upgrade after a restore brings less by what was spent of the rest, and says so",
    steps: [
      [0, ["subscribe", "basic"]],
      [5, ["spend", 90]],
      [10, ["present", "other", "other_account"]],
      [15, ["upgrade", "plus"], { credits: 0, owed: 0, purchases: ["basic partially_refunded 100"] }, {
        lots: [[48, 260]],
        purchases: ["plus credited 260"],
      }],
      [45, ["renew"], { credits: 0 }, {
        lots: [[48, 260], [78, 300]],
        purchases: ["plus credited 300", "plus credited 260"],
      }],
    ],
  },
  {
    name: "restore by somebody else, when the owner's account is one with an identity: nothing moves",
    owner: "user",
    steps: [
      [0, ["subscribe", "basic"]],
      [10, ["present", "other", "other_account"], { subscription: "basic active 30 renews" }, {
        credits: 0,
        subscription: null,
      }],
      [30, ["renew"], { lots: [[33, 100], [63, 100]] }, { credits: 0 }],
    ],
  },
  {
    name: "a purchase that names nobody is whose who presents it first, and its renewals too",
    isNamed: false,
    owner: "user",
    steps: [
      [0, ["subscribe", "basic"], { credits: 0, subscription: null }],
      [1, ["present", "owner", "credited"], { lots: [[33, 100]], subscription: "basic active 30 renews" }],
      [2, ["present", "other", "other_account"], { subscription: "basic active 30 renews" }, { credits: 0 }],
      [30, ["renew"], { lots: [[33, 100], [63, 100]] }],
    ],
  },
  {
    name: "family sharing is credited to nobody, and its end takes nothing",
    isFamilyShared: true,
    steps: [
      [0, ["subscribe", "basic"], { credits: 0, subscription: null, purchases: [] }],
      [1, ["present", "owner", "family_shared"], { credits: 0, subscription: null }],
      [2, ["revoke"], { credits: 0, owed: 0, subscription: null }],
    ],
  },
  {
    name: "credits of a period are spent before bought ones, and end before them",
    steps: [
      [0, ["buy a pack"], { lots: [[null, 100]] }],
      [1, ["subscribe", "basic"], { lots: [[34, 100], [null, 100]] }],
      [1.5, ["buy a pack"]],
      [2, ["spend", 60], { lots: [[34, 40], [null, 100], [null, 100]] }],
      [34, ["look"], { credits: 200, lots: [[null, 100], [null, 100]], subscription: "basic expired 31" }],
    ],
  },
  {
    name: "a video that holds them over the end, and fails, gives them back for a day",
    steps: [
      [0, ["subscribe", "basic"]],
      [32.75, ["hold", 40], { lots: [[33, 60]] }],
      [33.25, ["look"], { credits: 0, lots: [] }],
      [33.5, ["fail the video"], { lots: [[34.5, 40]] }],
      [34.5, ["look"], { credits: 0 }],
    ],
  },
];
