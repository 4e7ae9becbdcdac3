/**
 * The few statements on tables of the platform's services that a hosted project lets its owner run although it does not
 * own them. There an extension of Postgres does it, supautils; here the runner of the migrations.
 */
import { loadModule, type Node, parseSync } from "@libpg-query/parser";

/** A part of a file, in its order. */
export interface Part {
  text: string;
  /** Whether the platform runs it with more than the owner's rights. It is one statement then. */
  privileged: boolean;
}

/** Where the owner makes, changes and drops policies. */
const tablesWithPolicies = ["storage.objects", "storage.buckets", "realtime.messages"];
/**
 * Where the owner drops triggers. It makes them by a right that it has, and that is all it does to the table itself; what
 * such a trigger does runs as whoever deletes the user, in its service the role supabase_auth_admin, unless its function
 * is a security definer.
 */
const tablesWithTriggers = ["auth.users"];

/** Splits the text of a migration around those statements. All parts together are the text. */
export async function splitStatements(text: string): Promise<Part[]> {
  await loadModule();
  let statements;
  try {
    statements = parseSync(text).stmts ?? [];
  } catch {
    // Postgres says better where the mistake is.
    return [{ text, privileged: false }];
  }
  // The parser counts bytes.
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  const parts: Part[] = [];
  let done = 0;
  const take = (end: number, privileged: boolean) => {
    if (end > done) parts.push({ text: decoder.decode(bytes.subarray(done, end)), privileged });
    done = end;
  };
  for (const { stmt, stmt_location: start = 0, stmt_len: length } of statements) {
    if (stmt === undefined || !isPrivileged(stmt)) continue;
    take(start, false);
    // Without a length it is the last one; with one, the semicolon comes after it.
    take(length === undefined ? bytes.length : Math.min(start + length + 1, bytes.length), true);
  }
  take(bytes.length, false);
  return parts;
}

/** A block that makes such a policy where its table is there: on the platform the same extension meets what is in it. */
const makesPolicy = new RegExp(`\\bexecute 'create policy \\w+ on (${tablesWithPolicies.join("|")})\\b`);

function isPrivileged(statement: Node): boolean {
  if ("DoStmt" in statement) {
    return (statement.DoStmt.args ?? []).some((argument) =>
      "DefElem" in argument && argument.DefElem.arg !== undefined &&
      makesPolicy.test(nameOf(argument.DefElem.arg) ?? "")
    );
  }
  if ("CreatePolicyStmt" in statement) return isOneOf(tablesWithPolicies, statement.CreatePolicyStmt.table);
  if ("AlterPolicyStmt" in statement) return isOneOf(tablesWithPolicies, statement.AlterPolicyStmt.table);
  if (!("DropStmt" in statement)) return false;
  const { removeType, objects = [] } = statement.DropStmt;
  const tables = removeType === "OBJECT_POLICY"
    ? tablesWithPolicies
    : removeType === "OBJECT_TRIGGER"
    ? tablesWithTriggers
    : [];
  return objects.length > 0 && objects.every((object) => {
    const names = "List" in object ? (object.List.items ?? []).map(nameOf) : [];
    return tables.includes(names.slice(0, -1).join("."));
  });
}

/** The table must be named with its schema: what else it means depends on the search_path. */
function isOneOf(tables: string[], table: { schemaname?: string; relname?: string } | undefined): boolean {
  return tables.includes(`${table?.schemaname}.${table?.relname}`);
}

function nameOf(node: Node): string | undefined {
  return "String" in node ? node.String.sval : undefined;
}
