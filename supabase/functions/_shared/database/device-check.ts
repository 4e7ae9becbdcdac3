/** The procedures behind device-check, in the order in which it calls them. */
import type { Port } from "../endpoint/context.ts";
import { procedures } from "./procedures.ts";

export interface DeviceCheckBegun {
  user_id: string;
  credits_remaining: number;
  /** This call made the account. */
  is_new: boolean;
  is_granted: boolean;
  /**
   * Seconds until this check may rely on the intent of an earlier one, which set a device's bit for this user or died
   * before; null without one.
   */
  intent_good_in: number | null;
}

export interface LaneEntered {
  /** Null where another check of the network is in the lane, for so many seconds at most. */
  lane: string | null;
  retry_after: number | null;
}

export interface IntentRecorded {
  /** False where the bit must stay as it is: for a user who was granted meanwhile, or for a reason to come again. */
  recorded: boolean;
  is_granted: boolean;
  reason?: "busy" | "network_limit";
  /** Seconds. */
  retry_after?: number;
}

export interface DeviceCheckDatabase {
  /** Throws ERR_4004, 4005 and 4017. */
  begin(userId: string, network: string | null): Promise<DeviceCheckBegun>;
  enterLane(network: string | null): Promise<LaneEntered>;
  /** For whoever has set no bit and will not: takes back the intent, and with it what the limits counted. */
  leaveLane(network: string | null, lane: string): Promise<void>;
  recordIntent(userId: string, network: string | null, lane: string): Promise<IntentRecorded>;
  /** Leaves the lane, if there is one. */
  grantCredits(
    userId: string,
    network: string | null,
    lane: string | null,
  ): Promise<{ credits: number; credits_remaining: number }>;
}

export const deviceCheckDatabase: Port<DeviceCheckDatabase> = (runtime) => {
  const call = procedures(runtime);
  return {
    begin: (userId, network) => call("begin_device_check", { p_user_id: userId, p_network: network }),
    enterLane: (network) => call("enter_device_lane", { p_network: network }),
    leaveLane: async (network, lane) => {
      await call("leave_device_lane", { p_network: network, p_lane: lane });
    },
    recordIntent: (userId, network, lane) =>
      call("record_device_intent", { p_user_id: userId, p_network: network, p_lane: lane }),
    grantCredits: (userId, network, lane) =>
      call("grant_device_credits", { p_user_id: userId, p_network: network, p_lane: lane }),
  };
};
