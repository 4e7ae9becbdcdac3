/** `supabase/schemas/core/errors.sql`: what the procedures need of the registry of errors. */
import { errorCodes } from "../../supabase/functions/_shared/errors/error-codes.ts";

export const errorsSchemaFile = new URL("../../supabase/schemas/core/errors.sql", import.meta.url);

/** The registry as functions of SQL: an error's code by its category, its severity, and whether its key replays it. */
export function errorsSchema(): string {
  const errors = Object.entries(errorCodes);
  const list = (codes: string[]) => codes.map((code) => `'${code}'`).join(", ");
  const ofSeverity = (severity: string) => {
    const codes = errors.filter(([, error]) => error.severity === severity).map(([code]) => code);
    return `  when p_code in (${list(codes)}) then '${severity}'\n`;
  };
  const replayed = errors.filter(([, error]) => error.replayed).map(([code]) => code);
  return `-- Made from the registry in supabase/functions/_shared/errors/error-codes.ts by \`deno task generate\`.

create function core.error_code(p_category text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
-- The code of an error by its category. Raises case_not_found for one that is none.
begin
  case p_category
${errors.map(([code, { category }]) => `    when '${category}' then return '${code}';\n`).join("")}  end case;
end;
$$;

-- How grave it is, as its level in the log.
create function core.error_severity(p_code text)
returns text
language sql
immutable
return case
${["info", "warn", "error", "critical"].map(ofSeverity).join("")}end;

-- Whether a keyed request that ended so answers the same again. The others say something about the moment, not about
-- the request, so the same key may try again.
create function core.is_replayed_error(p_code text)
returns boolean
language sql
immutable
return p_code in (
  ${list(replayed)}
);
`;
}
