/**
 * Writes anew the baseline of the migrations, while it is open, and what is generated from the migrated database: its types, those of a job's status, and parts of documents.
 * Says what it changed, and nothing where nothing changed.
 */
import { createDatabase, withConnection } from "../../local/postgres/database.ts";
import { databaseTypesFile, generateDatabaseTypes } from "./database-types.ts";
import { jobsDocument, jobsDocumentOf, jobStatusFile, jobStatusTypes, readJobLife } from "./job-life.ts";
import { limitsDocument, limitsDocumentOf, readPolicies } from "./limits-document.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { preparePlatform } from "../../local/platform/platform.ts";
import { startPostgres } from "../../local/postgres/postgres.ts";
import { writeGenerated } from "./written.ts";
import { baselineFile, baselineOf, isBaselineOpen, schemaFiles } from "../schemas.ts";
import {
  privacyDocument,
  privacyDocumentOf,
  readPrivacyClasses,
  readRetentionRules,
} from "./privacy-document.ts";

if (await isBaselineOpen()) await writeGenerated(baselineFile, baselineOf(await schemaFiles()));

await using postgres = await startPostgres();
await using database = await createDatabase(postgres.url());
await preparePlatform(database.url);
await migrate(database.url);
await writeGenerated(databaseTypesFile, await generateDatabaseTypes(database.url));
const life = await withConnection(database.url, readJobLife);
await writeGenerated(jobStatusFile, jobStatusTypes(life));
await writeGenerated(jobsDocument, jobsDocumentOf(await Deno.readTextFile(jobsDocument), life));
const policies = await withConnection(database.url, readPolicies);
await writeGenerated(limitsDocument, limitsDocumentOf(await Deno.readTextFile(limitsDocument), policies));
const rules = await withConnection(database.url, readRetentionRules);
const classes = await withConnection(database.url, readPrivacyClasses);
await writeGenerated(
  privacyDocument,
  privacyDocumentOf(await Deno.readTextFile(privacyDocument), rules, classes),
);
