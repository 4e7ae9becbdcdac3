/** How a request looks in curl and in supabase-js. The examples in curl run one after the other: a test does it. */
import type { Json, Operation } from "./api-document.ts";

/** The shell's variables that hold what a field needs: made before, or taken from an earlier answer. */
const variables: Readonly<Record<string, string>> = {
  job_id: "$JOB",
  project_id: "$PROJECT",
  case_id: "$CASE",
  webhook_id: "$WEBHOOK",
  user_id: "$USER_ID",
  model_id: "$MODEL",
  device_token: "$DEVICE",
  upload_id: "$UPLOAD",
};

const exampleKey = "8e03978e-40d5-43dd-bc93-6894a57f9324";

export function curlOf(operation: Operation): string {
  const { method, description, walk } = operation;
  const body = bodyOf(operation);
  const isKeyed = isKeyedOperation(description);
  const isImplied = method === (body === undefined ? "GET" : "POST");
  const lines = [
    `curl -s${isImplied ? "" : ` -X ${method}`} "$URL/functions/v1/${pathOf(operation, withVariables)}"`,
    credentialsOf(description),
    ...(body === undefined ? [] : ["-H 'Content-Type: application/json'"]),
    ...(isKeyed ? [`-H 'Idempotency-Key: ${exampleKey}'`] : []),
    ...(body === undefined ? [] : [`-d ${quoted(body)}`]),
  ].filter((line) => line !== "");
  const command = lines.join(" \\\n  ");
  const captures = Object.entries(walk.captures ?? {});
  return [
    ...(walk.before === undefined ? [] : [walk.before]),
    ...(captures.length === 0 ? [command] : [`ANSWER=$(${command})`, 'echo "$ANSWER"']),
    ...captures.map(([name, place]) => `${name}=$(echo "$ANSWER" | field ${quotedIfNeeded(place)})`),
  ].join("\n");
}

export function supabaseJsOf(operation: Operation): string {
  const { method, description } = operation;
  const body = bodyOf(operation);
  const options = [
    ...(method === "POST" ? [] : [`  method: ${JSON.stringify(method)},`]),
    ...(isKeyedOperation(description) ? ['  headers: { "Idempotency-Key": crypto.randomUUID() },'] : []),
    ...(body === undefined ? [] : [`  body: ${literal(body)},`]),
  ];
  const path = JSON.stringify(pathOf(operation, (_, value) => value));
  return [
    `const { data, error } = await supabase.functions.invoke(${path}${options.length === 0 ? ");" : ", {"}`,
    ...options,
    ...(options.length === 0 ? [] : ["});"]),
  ].join("\n");
}

function isKeyedOperation({ parameters }: Json): boolean {
  return parameters.some(({ $ref = "" }: Json) => $ref.endsWith("/IdempotencyKey"));
}

function bodyOf({ description }: Operation): Json {
  return description.requestBody?.content["application/json"].example;
}

function withVariables(name: string, value: string): string {
  return variables[name] ?? encodeURIComponent(value);
}

function pathOf(
  { place, description }: Operation,
  write: (name: string, value: string) => string,
): string {
  const path = description.parameters
    .filter(({ in: where }: Json) => where === "path")
    .reduce((filled: string, { name, example }: Json) => filled.replace(`{${name}}`, example), place);
  const query = description.parameters
    .filter(({ in: place, example }: Json) => place === "query" && example !== undefined)
    .map(({ name, example }: Json) => `${name}=${write(name, example)}`);
  return query.length === 0 ? path : `${path}?${query.join("&")}`;
}

function credentialsOf({ security, tags }: Json): string {
  const schemes = security.flatMap((each: Json) => Object.keys(each));
  if (schemes.includes("userToken")) {
    return `-H "apikey: $KEY" -H "Authorization: Bearer ${
      tags.includes("operator") ? "$ADMIN_TOKEN" : "$TOKEN"
    }"`;
  }
  return schemes.includes("secretKey") ? '-H "apikey: $SECRET_KEY"' : "";
}

/** A body as a word of the shell: in double quotes where it has variables. */
function quoted(body: Json): string {
  const text = JSON.stringify(body);
  const filled = JSON.stringify(body, (name, value) => variables[name] ?? value);
  if (filled === text) return `'${text.replaceAll("'", "'\\''")}'`;
  return `"${filled.replaceAll(/["\\`]/g, "\\$&")}"`;
}

function quotedIfNeeded(place: string): string {
  return /^[\w.]+$/.test(place) ? place : `'${place}'`;
}

/** As TypeScript is written. */
function literal(value: Json): string {
  return JSON.stringify(value, null, 2).replaceAll(/^( *)"(\w+)":/gm, "$1$2:").replaceAll("\n", "\n  ")
    .replaceAll(/([^{[,])\n/g, "$1,\n").replaceAll(/,(\n *)$/g, "$1");
}
