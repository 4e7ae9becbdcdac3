/**
 * Which system this is.
 */

/** Set, Linux is treated as any other system: how the gate tries, without a Mac, what runs on one. */
export const portableVariable = "KINORA_PORTABLE";

/** Whether what only Linux has may be used: files about processes, its places for data. */
export const systemIsLinux = Deno.build.os === "linux" && Deno.env.get(portableVariable) === undefined;
