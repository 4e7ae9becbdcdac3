/** The procedures behind device-check, in the order in which it calls them. */
import type { Port } from "../context.ts";
import { procedures } from "./procedures.ts";

export interface DeviceCheckBegun {
  user_id: string;
  credits_remaining: number;
  /** This call made the account. */
  is_new: boolean;
  /** A device's bit was, or was about to be, set for this user. */
  has_intent: boolean;
  is_granted: boolean;
}

export interface DeviceCheckDatabase {
  /** Throws ERR_4004, 4005 and 4017. */
  begin(userId: string, network: string | null): Promise<DeviceCheckBegun>;
  /** Null where another check of the network is in the lane. */
  enterLane(network: string | null): Promise<string | null>;
  leaveLane(network: string | null, lane: string): Promise<void>;
  /** False where the bit must stay as it is. */
  recordIntent(userId: string, network: string | null, lane: string): Promise<boolean>;
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
    enterLane: async (network) => {
      const { lane } = await call<{ lane: string | null }, "enter_device_lane">("enter_device_lane", {
        p_network: network,
      });
      return lane;
    },
    leaveLane: async (network, lane) => {
      await call("leave_device_lane", { p_network: network, p_lane: lane });
    },
    recordIntent: async (userId, network, lane) => {
      const { recorded } = await call<{ recorded: boolean }, "record_device_intent">("record_device_intent", {
        p_user_id: userId,
        p_network: network,
        p_lane: lane,
      });
      return recorded;
    },
    grantCredits: (userId, network, lane) =>
      call("grant_device_credits", { p_user_id: userId, p_network: network, p_lane: lane }),
  };
};
