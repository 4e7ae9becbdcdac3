/** The switch that has the pictures written. Only tools/screenshots.ts sets it. */
export const screenshotsVariable = "KINORA_SCREENSHOTS";
