import assert from "node:assert/strict";
import { testContext } from "../_shared/testing/context.ts";
import { fakeDatabase } from "../_shared/testing/database.ts";
import { sessionId, userId } from "../_shared/testing/tokens.ts";
import { exampleProject } from "../_shared/videos/contract.ts";
import { CreateProjectRequest, DeleteProjectQuery, RenameProjectRequest } from "./schema.ts";
import { createProject, deleteProject, listProjects, renameProject } from "./service.ts";

const project = exampleProject();
const caller = { p_user_id: userId, p_session_id: sessionId };

Deno.test("a page is that of the caller, and its cursor leads to the next one", async () => {
  const next = { created_at: "2026-11-20T11:59:00.123456+00:00", id: project.project_id };
  const { database, calls } = fakeDatabase({ get_projects: () => ({ projects: [project], next }) });
  const context = testContext("user", { database });
  const { status, body } = await listProjects({ limit: 1 }, context);
  assert(body?.next_cursor);
  assert.deepEqual([status, body.projects], [200, [project]]);
  await listProjects({ limit: 2, cursor: body.next_cursor }, context);
  assert.deepEqual(calls.map(({ args }) => args), [
    { ...caller, p_limit: 1, p_after: null },
    { ...caller, p_limit: 2, p_after: next },
  ]);
  await assert.rejects(listProjects({ limit: 1, cursor: "made-up" }, context), { code: "ERR_4008" });
  assert.equal(calls.length, 2, "the database was asked for a cursor that is none");
});

Deno.test("a project is made, renamed and deleted for the caller of the token", async () => {
  const { database, calls } = fakeDatabase({
    post_projects: () => project,
    patch_projects: () => project,
    delete_projects: () => ({ project_id: project.project_id }),
  });
  const context = testContext("user", { database });
  const { project_id, name } = project;
  assert.deepEqual(await createProject({ name }, context), { status: 201, body: project });
  assert.deepEqual(await renameProject({ project_id, name }, context), { status: 200, body: project });
  assert.deepEqual(await deleteProject({ project_id }, context), { status: 204 });
  assert.deepEqual(calls, [
    { name: "post_projects", args: { ...caller, p_name: name } },
    { name: "patch_projects", args: { ...caller, p_name: name, p_project_id: project_id } },
    { name: "delete_projects", args: { ...caller, p_project_id: project_id } },
  ]);
});

Deno.test("a name has 1 to 100 characters in one line, without what is not seen", () => {
  const read = (name: unknown) => CreateProjectRequest.safeParse({ name }).data?.name ?? null;
  assert.equal(read("  Kışın\u0301 "), "Kışın\u0301".normalize("NFC"));
  assert.equal(read("🦊".repeat(100)), "🦊".repeat(100));
  for (const name of ["", " ", "a\nb", "\u202ea", "x".repeat(101), null, 7, undefined, "\ud800"]) {
    assert.equal(read(name), null, JSON.stringify(name));
  }
});

Deno.test("a project is named by its id, and by nothing else", () => {
  const id = project.project_id;
  assert.equal(RenameProjectRequest.parse({ project_id: id.toUpperCase(), name: "x" }).project_id, id);
  for (const query of [{}, { project_id: "x" }, { project_id: id, user_id: userId }]) {
    assert(!DeleteProjectQuery.safeParse(query).success, JSON.stringify(query));
  }
  assert(!RenameProjectRequest.safeParse({ project_id: id }).success);
});
