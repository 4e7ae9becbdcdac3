/**
 * The gateway's way to the functions, which live in another process, and now and then in a new one.
 */
/** How long a request waits for functions that are just starting again; a start takes a fraction of it, also on a busy machine. */
const functionsWait = 15_000;

export interface FunctionsProxy {
  /** Says on which port the functions are from now on; null while there are none. */
  moveTo(port: number | null): void;
  /** Passes a request under /functions/v1 on; `address` is where it came from. */
  fetch(request: Request, url: URL, address: string): Promise<Response>;
}

/** With `trustClientAddress`, a client may name its own address in cf-connecting-ip; otherwise it is the peer's, always. */
export function createFunctionsProxy(trustClientAddress: boolean): FunctionsProxy {
  let port = Promise.withResolvers<number>();

  return {
    moveTo(next) {
      // Those who wait already, then those who come.
      if (next !== null) port.resolve(next);
      port = Promise.withResolvers<number>();
      if (next !== null) port.resolve(next);
    },
    async fetch(request, url, address) {
      const headers = new Headers(request.headers);
      if (!trustClientAddress || !headers.has("cf-connecting-ip")) headers.set("cf-connecting-ip", address);
      // Nothing is gained by packing and unpacking between two processes of one machine.
      headers.set("accept-encoding", "identity");
      let tooLate: ReturnType<typeof setTimeout> | undefined;
      try {
        const path = url.pathname.slice("/functions/v1".length) + url.search;
        const late = new Promise<never>((_, reject) => {
          tooLate = setTimeout(() => reject(new Error("Too late")), functionsWait);
        });
        const functions = await Promise.race([port.promise, late]);
        return await fetch(`http://127.0.0.1:${functions}${path}`, {
          method: request.method,
          headers,
          body: request.body,
          redirect: "manual",
        });
      } catch {
        const body = { code: "BOOT_ERROR", message: "Function failed to start (please check logs)" };
        return Response.json(body, { status: 503, headers: { "sb-error-code": body.code } });
      } finally {
        clearTimeout(tooLate);
      }
    },
  };
}
