/**
 * Milliseconds that a test waits at most for what must come. No promise, only the end of a test that hangs: far more than
 * anything takes, also on a machine that has a lot more to do.
 */
export const patience = 120_000;
