/** A function that does not start, for the tests of the local platform. */
throw new Error("This function is broken on purpose");
