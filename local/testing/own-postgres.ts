/**
 * A program that owns a Postgres until it is ended: what the tests kill. Prints the server as one line of JSON.
 */
import { startPostgres } from "../postgres/postgres.ts";
import { exitOnTermination } from "../processes/process.ts";

const [dataDirectory] = Deno.args;
const server = await startPostgres(dataDirectory === undefined ? {} : { dataDirectory });
exitOnTermination(() => server[Symbol.asyncDispose]());
console.log(JSON.stringify({ pid: server.pid, url: server.url() }));
// Waits for ever, as a server does.
setInterval(() => {}, 60_000);
