/**
 * Finds what the platform refuses in the body of a function: an UPDATE or a DELETE of every row. Its Data API loads
 * `safeupdate`, which lets none through that has no WHERE, at whatever depth of calls, but only once the statement runs.
 *
 * Functions are read with Postgres' own parser, so that neither comments nor layout mislead. What a function puts together
 * at run time is read as far as it is written there: a literal, the format of `format`, what is joined by `||`.
 */
import { deparseSync, loadModule, parsePlPgSQLSync, parseSync } from "@libpg-query/parser";

/** Gives the statements without WHERE in the function that `definition`, of pg_get_functiondef, makes. */
export async function statementsWithoutWhere(definition: string): Promise<string[]> {
  await loadModule();
  const tree = parseSync(definition);
  const { language, body } = optionsOf(tree);
  const found = withoutWhere(tree);
  if (language === "sql" && body !== undefined) found.push(...withoutWhere(parseSync(body)));
  if (language === "plpgsql") {
    for (const expression of expressionsOf(parsePlPgSql(definition))) {
      found.push(...withoutWhere(parseSync(expression)));
    }
  }
  return found;
}

/** A part of a tree, as the parser gives it: its only key is often the name of its kind. */
type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null;
}

/** The tree and all that it is made of. */
function* partsOf(tree: unknown): Generator<Tree> {
  if (!isTree(tree)) return;
  yield tree;
  for (const part of Object.values(tree)) yield* partsOf(part);
}

/** Its language, and its body where that is a text. */
function optionsOf(definition: unknown): { language?: string; body?: string } {
  const options: Record<string, string> = {};
  for (const { DefElem: option } of partsOf(definition)) {
    if (!isTree(option)) continue;
    const [text] = [...partsOf(option.arg)].map(({ String: text }) => isTree(text) ? text.sval : undefined)
      .filter((text) => typeof text === "string");
    if (typeof option.defname === "string" && text !== undefined) options[option.defname] = text;
  }
  const { language, as: body } = options;
  return { ...(language === undefined ? {} : { language }), ...(body === undefined ? {} : { body }) };
}

function withoutWhere(tree: unknown): string[] {
  const found: string[] = [];
  for (const part of partsOf(tree)) {
    for (const kind of ["UpdateStmt", "DeleteStmt"]) {
      const statement = part[kind];
      if (isTree(statement) && statement.whereClause === undefined) found.push(write({ [kind]: statement }));
    }
  }
  return [...found, ...textsOf(tree).flatMap(withoutWhereInText)];
}

function write(statement: Tree): string {
  const { version = 0 } = parseSync("select");
  return deparseSync({ version, stmts: [{ stmt: statement as never }] }).replaceAll(/\s+/g, " ");
}

/** A text that may be run; most are something else. One that is no whole statement is judged by its words. */
function withoutWhereInText(text: string): string[] {
  if (!/\b(update|delete)\b/i.test(text)) return [];
  try {
    return withoutWhere(parseSync(text));
  } catch {
    return /\bupdate\b.+\bset\b|\bdelete\s+from\b/is.test(text) && !/\bwhere\b/i.test(text) ? [text] : [];
  }
}

/** The texts that are written in a tree, each with what it is joined to. */
function textsOf(tree: unknown): string[] {
  if (!isTree(tree)) return [];
  const text = textOf(tree);
  return text === undefined ? Object.values(tree).flatMap(textsOf) : [text];
}

/** Stands for what is known at run time only. */
const unknown = "x";

/** The text that an expression gives; undefined where nothing of it is written there. */
function textOf(expression: unknown): string | undefined {
  if (!isTree(expression)) return undefined;
  const { A_Const: constant, A_Expr: operation, FuncCall: call } = expression;
  if (isTree(constant)) {
    return isTree(constant.sval) && typeof constant.sval.sval === "string" ? constant.sval.sval : undefined;
  }
  if (isTree(operation) && namesIn(operation.name).join() === "||") {
    const sides = [operation.lexpr, operation.rexpr].map(textOf);
    return sides.every((side) => side === undefined)
      ? undefined
      : sides.map((side) => side ?? unknown).join("");
  }
  if (isTree(call) && namesIn(call.funcname).at(-1) === "format" && Array.isArray(call.args)) {
    return textOf(call.args[0])?.replaceAll(
      /%(?:\d+\$)?-?\d*([sIL%])/g,
      (_, kind) => kind === "%" ? "%" : kind === "L" ? `'${unknown}'` : unknown,
    );
  }
  return undefined;
}

function namesIn(list: unknown): unknown[] {
  return [...partsOf(list)].flatMap(({ String: name }) => isTree(name) ? [name.sval] : []);
}

/** What a function hands to SQL, as statements. */
function expressionsOf(tree: unknown): string[] {
  return [...partsOf(tree)].flatMap(({ PLpgSQL_expr: expression }) => {
    if (!isTree(expression) || typeof expression.query !== "string") return [];
    const { query, parseMode = 0 } = expression;
    // 0 is a statement, 2 an expression, and what is above it an expression behind the variable that it is assigned to.
    if (parseMode === 0) return [query];
    return [`select ${parseMode === 2 ? query : query.replace(/^.*?:?=/s, "")}`];
  });
}

/**
 * The parser knows no table, so that it takes a variable of a row type for one without fields, and refuses an assignment to
 * one of them. Where it does, variables whose fields are used are read as records.
 */
function parsePlPgSql(definition: string): unknown {
  try {
    return parsePlPgSQLSync(definition);
  } catch {
    const simpler = definition.replaceAll(
      /\bdeclare\b.*?\bbegin\b/gis,
      (declarations) =>
        declarations.replaceAll(
          /\b(\w+)(\s+)[\w".]+(?:%rowtype)?(?=\s*(?:;|:=|=|default\b))/gi,
          (declaration, name, space) =>
            new RegExp(`\\b${name}\\.`, "i").test(definition) ? `${name}${space}record` : declaration,
        ),
    );
    try {
      return parsePlPgSQLSync(simpler);
    } catch (error) {
      throw new Error(`Postgres' parser cannot read this function:\n${definition}`, { cause: error });
    }
  }
}
