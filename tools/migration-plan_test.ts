import assert from "node:assert/strict";
import { tidy } from "./migration-plan.ts";

Deno.test("the differ's text loses its default privileges, repeated settings and gaps", () => {
  assert.equal(
    tidy(`SET local check_function_bodies = off;

ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" GRANT EXECUTE ON FUNCTIONS TO PUBLIC;

DROP VIEW "ops"."one";


SET local check_function_bodies = off;

CREATE VIEW "ops"."two" AS  SELECT 'ALTER DEFAULT PRIVILEGES FOR ROLE x GRANT y;' AS text;

ALTER DEFAULT PRIVILEGES FOR ROLE "postgres"
  IN SCHEMA "public" GRANT SELECT ON TABLES TO "anon";
`),
    `SET local check_function_bodies = off;

DROP VIEW "ops"."one";

CREATE VIEW "ops"."two" AS  SELECT 'ALTER DEFAULT PRIVILEGES FOR ROLE x GRANT y;' AS text;
`,
  );
});

Deno.test("a text of nothing but default privileges is no difference", () => {
  assert.equal(tidy('ALTER DEFAULT PRIVILEGES FOR ROLE "a" GRANT EXECUTE ON FUNCTIONS TO PUBLIC;\n'), "");
  assert.equal(tidy("\n"), "");
});
