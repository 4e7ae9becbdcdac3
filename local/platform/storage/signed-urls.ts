/**
 * The routes of the hosted platform's Storage that Lite answers otherwise: signed URLs. Lite does the rest.
 */
import { errors, jwtVerify } from "jose";
// @ts-types="@types/pg"
import type pg from "pg";
import { objectPath, serveObject } from "./objects.ts";

/** The service's name for an error, which it sends with status 400 whatever the number in the body says. */
function refusal(statusCode: number, error: string, message: string): Response {
  return Response.json({ statusCode: `${statusCode}`, error, message }, { status: 400 });
}

/** `secret` is the key with which Lite signs, and `directory` the one its objects are in. */
export interface SignedUrlOptions {
  pool: pg.Pool;
  directory: string;
  secret: string;
}

/** Answers GET and HEAD of a signed URL, with any part of the object; a bad or expired token is a 400, as on the platform. */
export async function serveSignedUrl(
  request: Request,
  url: URL,
  options: SignedUrlOptions,
): Promise<Response> {
  const [, bucket = "", name = ""] = /^\/storage\/v1\/object\/sign\/([^/]+)\/(.+)$/.exec(url.pathname) ?? [];
  const token = url.searchParams.get("token");
  if (token === null) {
    return refusal(400, "InvalidRequest", "querystring must have required property 'token'");
  }
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(options.secret), {
      algorithms: ["HS256"],
    });
    if (payload.intent !== "download" || payload.bucket !== bucket || payload.sub !== name) {
      return refusal(400, "InvalidSignature", "The url do not match the signature");
    }
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    const message = error instanceof errors.JWTExpired
      ? '"exp" claim timestamp check failed'
      : "signature verification failed";
    return refusal(400, "InvalidJWT", message);
  }

  const { rows: [object] } = await options.pool.query<
    { metadata: { mimetype?: string; cacheControl?: string } | null }
  >(
    "select metadata from storage.objects where bucket_id = $1 and name = $2",
    [bucket, name],
  );
  if (object === undefined) return refusal(404, "not_found", "Object not found");
  const download = url.searchParams.get("download");
  try {
    return await serveObject(request, objectPath(options.directory, bucket, name), {
      "content-type": object.metadata?.mimetype ?? "application/octet-stream",
      "cache-control": object.metadata?.cacheControl ?? "no-cache",
      ...(download === null ? {} : { "content-disposition": attachment(download) }),
    });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return refusal(404, "not_found", "Object not found");
  }
}

function attachment(name: string): string {
  return name === "" ? "attachment" : `attachment; filename*=UTF-8''${encodeURIComponent(name)}`;
}

/** Passes a request on to Lite, as its caller. */
type Forward = (request: Request) => Promise<Response>;

/** What the service answers with for each object, beside its path. */
interface SignedUrl {
  error: string | null;
  signedURL: string | null;
}

/**
 * Answers POST /object/sign/<bucket>/<path>, and with a list of paths POST /object/sign/<bucket>, which Lite takes for the
 * first with an empty path. The URLs are relative to /storage/v1, as storage-js wants them.
 */
export async function createSignedUrls(request: Request, url: URL, forward: Forward): Promise<Response> {
  const [, many] = /^\/storage\/v1(\/object\/sign\/[^/]+)$/.exec(url.pathname) ?? [];
  if (many === undefined) {
    const response = await forward(request);
    return response.ok ? Response.json({ signedURL: await readSignedUrl(response) }) : response;
  }
  const { paths, expiresIn } = await request.json();
  if (!Array.isArray(paths)) {
    return refusal(400, "InvalidRequest", "body must have required property 'paths'");
  }
  const entries = paths.map(async (path: string): Promise<SignedUrl & { path: string }> => {
    const response = await forward(
      new Request(`${url.origin}/storage/v1${many}/${path.split("/").map(encodeURIComponent).join("/")}`, {
        method: "POST",
        headers: request.headers,
        body: JSON.stringify({ expiresIn }),
      }),
    );
    if (response.ok) return { path, error: null, signedURL: await readSignedUrl(response) };
    await response.body?.cancel();
    return {
      path,
      error: "Either the object does not exist or you do not have access to it",
      signedURL: null,
    };
  });
  return Response.json(await Promise.all(entries));
}

/** Answers POST /object/upload/sign/<bucket>/<path> in the service's form, which storage-js reads. */
export async function createSignedUploadUrl(request: Request, forward: Forward): Promise<Response> {
  const response = await forward(request);
  if (!response.ok) return response;
  const url = await readSignedUrl(response);
  return Response.json({ url, token: new URL(url, request.url).searchParams.get("token") });
}

async function readSignedUrl(response: Response): Promise<string> {
  const { signedUrl } = await response.json();
  return signedUrl.replace(/^\/storage\/v1/, "");
}
