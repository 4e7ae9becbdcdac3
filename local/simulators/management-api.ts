/**
 * As much of Supabase's Management API as `supabase functions deploy --use-api` and `supabase secrets set` ask for. It keeps
 * what it is given.
 */
import { startLoopbackServer } from "./engine/loopback-server.ts";

export interface UploadedFunction {
  readonly verifyJwt: boolean;
  readonly entryPoint: string;
  readonly importMap: string;
  /** By their path in the project that was deployed. */
  readonly files: ReadonlyMap<string, string>;
}

export interface ManagementApi extends AsyncDisposable {
  readonly url: string;
  /** By name; those of the last deployment that was completed. */
  readonly functions: ReadonlyMap<string, UploadedFunction>;
  /** Their values by name. */
  readonly secrets: ReadonlyMap<string, string>;
}

interface Metadata {
  verify_jwt: boolean;
  entrypoint_path: string;
  import_map_path: string;
}

/** Serves the one project `ref`. */
export async function startManagementApi(ref: string): Promise<ManagementApi> {
  const uploaded = new Map<string, UploadedFunction>();
  const functions = new Map<string, UploadedFunction>();
  const secrets = new Map<string, string>();
  const project = `/v1/projects/${ref}`;

  async function takeUpload(request: Request, name: string): Promise<Response> {
    const form = await request.formData();
    const files = new Map<string, string>();
    for (const file of form.getAll("file")) {
      if (file instanceof File) files.set(file.name, await file.text());
    }
    const metadata: Metadata = JSON.parse(`${form.get("metadata")}`);
    uploaded.set(name, {
      verifyJwt: metadata.verify_jwt,
      entryPoint: metadata.entrypoint_path,
      importMap: metadata.import_map_path,
      files,
    });
    return Response.json({
      id: crypto.randomUUID(),
      slug: name,
      name,
      status: "ACTIVE",
      version: 1,
      created_at: Date.now(),
      updated_at: Date.now(),
      verify_jwt: metadata.verify_jwt,
      import_map: metadata.import_map_path !== "",
      entrypoint_path: metadata.entrypoint_path,
      import_map_path: metadata.import_map_path,
      ezbr_sha256: "0".repeat(64),
    }, { status: 201 });
  }

  /** What was uploaded becomes what is served, all at once. */
  async function activate(request: Request): Promise<Response> {
    const wanted: { slug: string }[] = await request.json();
    functions.clear();
    for (const { slug } of wanted) {
      const upload = uploaded.get(slug);
      if (upload === undefined) return Response.json({ message: `${slug} is unknown` }, { status: 400 });
      functions.set(slug, upload);
    }
    return Response.json({ functions: wanted });
  }

  const server = await startLoopbackServer(0, async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case `GET ${project}`:
        return Response.json({
          id: ref,
          ref,
          organization_id: "organization",
          organization_slug: "organization",
          name: "kinora",
          region: "eu-west-1",
          created_at: "2026-01-01T00:00:00Z",
          status: "ACTIVE_HEALTHY",
          database: {
            host: "database.invalid",
            version: "17.4.1.054",
            postgres_engine: "17",
            release_channel: "ga",
          },
        });
      case `POST ${project}/functions/deploy`:
        return await takeUpload(request, searchParams.get("slug") ?? "");
      case `PUT ${project}/functions`:
        return await activate(request);
      case `POST ${project}/secrets`: {
        const given: { name: string; value: string }[] = await request.json();
        for (const { name, value } of given) secrets.set(name, value);
        return new Response(null, { status: 201 });
      }
      default:
        return Response.json({ message: `Cannot ${request.method} ${pathname}` }, { status: 404 });
    }
  });
  return { url: server.url, functions, secrets, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
