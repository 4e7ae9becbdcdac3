/** Videos in projects: put there, found there, and staying when a project goes. */
import assert from "node:assert/strict";
import { AcceptedVideo, Project } from "../../supabase/functions/_shared/videos/contract.ts";
import { ProjectsResponse } from "../../supabase/functions/projects/schema.ts";
import { VideoJobsResponse } from "../../supabase/functions/video-jobs/schema.ts";
import { GetUploadsResponse, PostUploadsResponse } from "../../supabase/functions/uploads/schema.ts";
import { shared } from "../shared.ts";
import { bodyOf, errorOf } from "./support/answer.ts";
import { type Guest, startBackend } from "./support/backend.ts";
import { ended, kling, videoStatus } from "./support/videos.ts";

const backend = shared(startBackend);

async function create(guest: Guest, name: string): Promise<string> {
  return bodyOf(await guest.call("projects", { body: { name } }), 201, Project).project_id;
}

const generateIn = (guest: Guest, project_id: string | null, key: string = crypto.randomUUID()) =>
  guest.call("generate-video", { body: { model_id: kling, prompt: "A fox", project_id }, key });

async function made(guest: Guest, project_id: string | null): Promise<string> {
  return bodyOf(await generateIn(guest, project_id), 202, AcceptedVideo).job_id;
}

const jobsOf = async (guest: Guest, query: string) =>
  bodyOf(await guest.call(`video-jobs?${query}`), 200, VideoJobsResponse).jobs.map(({ job_id }) => job_id);

const projectsOf = async (guest: Guest) =>
  bodyOf(await guest.call("projects"), 200, ProjectsResponse).projects.map(({ name, job_count }) => [
    name,
    job_count,
  ]);

Deno.test("a project has the videos that were made in it, and stays without those that are deleted", async () => {
  const guest = await backend.signIn(100);
  const [winter, summer] = [await create(guest, "Winter"), await create(guest, "Summer")];
  const jobs = [await made(guest, winter), await made(guest, winter)];
  const others = [await made(guest, summer), await made(guest, null)];
  assert.deepEqual(await jobsOf(guest, `project_id=${winter}`), jobs.toReversed());
  assert.deepEqual(await jobsOf(guest, `project_id=${winter.toUpperCase()}&limit=1`), [jobs[1]]);
  assert.deepEqual((await jobsOf(guest, "")).length, jobs.length + others.length);
  assert.deepEqual(await projectsOf(guest), [["Summer", 1], ["Winter", 2]]);
  assert.equal((await ended(backend, guest, jobs[0] ?? "")).project_id, winter);
  assert.deepEqual(await jobsOf(guest, `project_id=${winter}&status=failed`), []);

  const deleted = await guest.call(`delete-video-job?job_id=${jobs[0]}`, { method: "DELETE" });
  assert.equal(deleted.status, 204);
  const again = await guest.call(`delete-video-job?job_id=${jobs[0]}`, { method: "DELETE" });
  errorOf(again, "ERR_4007");
  assert.deepEqual(await projectsOf(guest), [["Summer", 1], ["Winter", 1]]);
  assert.deepEqual(await jobsOf(guest, `project_id=${winter}`), [jobs[1]]);
});

Deno.test("a project is renamed, and what is deleted leaves its videos in none", async () => {
  const guest = await backend.signIn(100);
  const project_id = await create(guest, "Wintr");
  const jobId = await made(guest, project_id);
  const renamed = await guest.call("projects", { method: "PATCH", body: { project_id, name: " Winter " } });
  assert.deepEqual([bodyOf(renamed, 200, Project).name], ["Winter"]);

  const remove = () => guest.call(`projects?project_id=${project_id}`, { method: "DELETE" });
  assert.equal((await remove()).status, 204);
  errorOf(await remove(), "ERR_4007");
  const { project_id: shown, status } = await videoStatus(guest, jobId);
  assert.deepEqual([shown, status === "cancelled"], [null, false]);
  assert.deepEqual(await jobsOf(guest, ""), [jobId]);
  errorOf(await guest.call(`video-jobs?project_id=${project_id}`), "ERR_4007");
  errorOf(await generateIn(guest, project_id), "ERR_4007");
  assert.deepEqual(await projectsOf(guest), []);
});

Deno.test("another's project is not there, whatever is asked of it", async () => {
  const [guest, stranger] = [await backend.signIn(100), await backend.signIn(100)];
  const project_id = await create(guest, "Mine");
  for (const id of [project_id, crypto.randomUUID()]) {
    const answers = [
      await generateIn(stranger, id),
      await stranger.call(`video-jobs?project_id=${id}`),
      await stranger.call(`uploads?project_id=${id}`),
      await stranger.call("uploads", { body: { content_type: "image/png", bytes: 1, project_id: id } }),
      await stranger.call("projects", { method: "PATCH", body: { project_id: id, name: "Theirs" } }),
      await stranger.call(`projects?project_id=${id}`, { method: "DELETE" }),
    ];
    for (const answer of answers) errorOf(answer, "ERR_4007");
  }
  assert.equal(await backend.balanceOf(stranger), 100);
  assert.deepEqual(await projectsOf(guest), [["Mine", 0]]);
  assert.deepEqual(await projectsOf(stranger), []);
});

Deno.test("a video is in one project for one request: its key does not put it into another, and null is none", async () => {
  const guest = await backend.signIn(100);
  const [one, other] = [await create(guest, "One"), await create(guest, "Other")];
  const key = crypto.randomUUID();
  const { job_id } = bodyOf(await generateIn(guest, one, key), 202, AcceptedVideo);
  assert.equal(bodyOf(await generateIn(guest, one, key), 202, AcceptedVideo).job_id, job_id);
  errorOf(await generateIn(guest, other, key), "ERR_4011");
  assert.deepEqual(await projectsOf(guest), [["Other", 0], ["One", 1]]);
  for (const id of ["", "x", 7]) {
    const body = { model_id: kling, prompt: "A fox", project_id: id };
    errorOf(await guest.call("generate-video", { body, key: crypto.randomUUID() }), "ERR_4008");
  }
});

Deno.test("a picture is in a project, which shows it, and in none when the project is gone", async () => {
  const guest = await backend.signIn();
  const [one, other] = [await create(guest, "One"), await create(guest, "Other")];
  const begin = async (project_id: string | null) => {
    const body = { content_type: "image/png", bytes: 1_000, project_id };
    return bodyOf(await guest.call("uploads", { body }), 201, PostUploadsResponse).upload_id;
  };
  const shown = async (query = "") => {
    const { uploads } = bodyOf(await guest.call(`uploads?limit=1${query}`), 200, GetUploadsResponse);
    const more = bodyOf(await guest.call(`uploads?${query}`), 200, GetUploadsResponse);
    assert.deepEqual(uploads, more.uploads.slice(0, 1));
    return more.uploads.map(({ upload_id, project_id }) => [upload_id, project_id]);
  };
  const [first, second, third] = [await begin(one), await begin(null), await begin(one)];
  assert.deepEqual(await shown(`&project_id=${one}`), [[third, one], [first, one]]);
  assert.deepEqual(await shown(`&project_id=${other}`), []);
  assert.deepEqual(await shown(), [[third, one], [second, null], [first, one]]);
  assert.deepEqual(await projectsOf(guest), [["Other", 0], ["One", 0]], "it counts jobs");
  assert.equal((await guest.call(`projects?project_id=${one}`, { method: "DELETE" })).status, 204);
  assert.deepEqual(await shown(), [[third, null], [second, null], [first, null]]);
  errorOf(await guest.call(`uploads?project_id=${one}`), "ERR_4007");
});
