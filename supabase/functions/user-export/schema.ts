/** A request has nothing to say, and the answer is the account's export. */
export { AccountExport } from "../_shared/accounts/contract.ts";
