import assert from "node:assert/strict";
import { splitStatements } from "./platform-statements.ts";

async function privileged(text: string): Promise<string[]> {
  const parts = await splitStatements(text);
  assert.equal(parts.map((part) => part.text).join(""), text);
  return parts.filter((part) => part.privileged).map((part) => part.text.trim());
}

Deno.test("policies of Storage and Realtime, and what drops a trigger of auth.users, are the platform's to run", async () => {
  const statements = [
    "create policy own on storage.objects for select using (true);",
    "alter policy own on storage.buckets to anon;",
    "drop policy if exists own on realtime.messages;",
    "drop trigger closing on auth.users;",
    "do $$ begin if true then execute 'create policy own on realtime.messages using (true)'; end if; end $$;",
  ];
  assert.deepEqual(await privileged(statements.join("\n")), statements);
});

Deno.test("a statement between others is found where it stands, also behind letters of several bytes", async () => {
  assert.deepEqual(
    await splitStatements(
      "select 'ş😀'; -- one;\nCREATE POLICY \"o;wn\" ON storage.objects\nUSING (name <> ';');select 2",
    ),
    [
      { text: "select 'ş😀';", privileged: false },
      {
        text: " -- one;\nCREATE POLICY \"o;wn\" ON storage.objects\nUSING (name <> ';');",
        privileged: true,
      },
      { text: "select 2", privileged: false },
    ],
  );
});

Deno.test("whatever else is done to the platform's tables is the owner's own to try", async () => {
  for (
    const text of [
      "create policy own on auth.users using (true)",
      "create policy own on objects using (true)",
      "create policy own on public.users using (true)",
      "drop policy own on public.users",
      "drop trigger own on storage.objects",
      "create trigger closing after delete on auth.users for each row execute function f()",
      "alter table storage.objects disable row level security",
      "drop table storage.objects",
      "do $$ begin drop policy own on storage.objects; end $$",
      "do $$ begin execute 'create policy own on auth.users using (true)'; end $$",
      "comment on policy own on storage.objects is 'mine'",
    ]
  ) {
    assert.deepEqual(await privileged(text), [], text);
  }
});

Deno.test("a text that Postgres will refuse stays whole", async () => {
  const text = "create policy own on storage.objects; selec 1";
  assert.deepEqual(await splitStatements(text), [{ text, privileged: false }]);
});
