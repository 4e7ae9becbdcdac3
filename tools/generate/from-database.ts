/** Every file that is made from the migrated database. */
import { databaseTypes } from "./database-types.ts";
import { jobsDocument, jobStatus } from "./job-life.ts";
import { limitsDocument } from "./limits-document.ts";
import { privacyDocument } from "./privacy-document.ts";
import { purchasesDocument } from "./subscription-life.ts";
import type { FromDatabase } from "./written.ts";

export const filesFromDatabase: readonly FromDatabase[] = [
  ...[databaseTypes, jobStatus, jobsDocument, limitsDocument, privacyDocument, purchasesDocument],
];
