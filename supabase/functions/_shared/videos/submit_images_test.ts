/** Pictures and videos that a submission brings to its provider. */
import assert from "node:assert/strict";
import { AppError } from "../errors/app-error.ts";
import { fakeDatabase } from "../testing/database.ts";
import { recordingLogger } from "../testing/log.ts";
import { fakeProvider, fakeProviders } from "../testing/provider.ts";
import { claim, jobId, webhookSecret } from "../testing/tasks.ts";
import { fetchImage } from "./images/fetched.ts";
import { submitVideo } from "./submit.ts";
import { fakeStorage } from "../testing/storage.ts";
import { fakeWeb, type FakeWorld } from "../testing/web.ts";

Deno.test("a job's picture is signed once for as long as it may wait, judged with the prompt, and sent as it was judged", async () => {
  const path = "u/1/copy.jpg";
  const url = `https://storage.example.com/${path}?expires=900`;
  const image = { claimed: false, image_path: path, image_seconds: 900 };
  for (const prompt of [claim.prompt, undefined]) {
    const { log } = recordingLogger();
    const uploads = fakeStorage();
    uploads.files.set(path, { content: new Uint8Array(1), contentType: "image/jpeg" });
    const judged: unknown[] = [];
    const sent: unknown[] = [];
    const asked: unknown[] = [];
    await submitVideo(jobId, {
      log,
      uploads,
      storage: fakeStorage(),
      moderation: {
        judge: (...given) => {
          judged.push(given);
          return Promise.resolve({ verdict: "passed" });
        },
      },
      providers: fakeProviders(fakeProvider({
        submit: ({ imageUrl }) => {
          sent.push(imageUrl);
          return Promise.resolve({ outcome: "unknown", cause: "a test" });
        },
      })),
      config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
      ...fakeDatabase({
        claim_submission: ({ p_has_files }) => {
          asked.push(p_has_files);
          return p_has_files ? claim : { ...image, ...(prompt === undefined ? {} : { prompt }) };
        },
        record_submission: () => ({ status: "processing", has_others: false }),
      }),
    });
    // The second time the database remembers that it was let pass.
    assert.deepEqual(judged, prompt === undefined ? [] : [[prompt, url]]);
    assert.deepEqual([asked, sent], [[undefined, true], [url]]);
  }
});

Deno.test("a video and pictures of ours reach the provider as URLs, and each picture is judged with all that was written", async () => {
  const id = "0190a000-0000-7000-8000-0000000000e1";
  const files = { content: new Uint8Array(1), contentType: "image/jpeg" };
  const [uploads, storage] = [fakeStorage(), fakeStorage()];
  for (const path of ["a/one.jpg", "a/two.jpg"]) uploads.files.set(path, files);
  storage.files.set("a/video.mp4", files);
  const url = (path: string) => `https://storage.example.com/${path}?expires=900`;
  for (const verdicts of [["passed", "passed"], ["passed", "refused"]] as const) {
    const left = [...verdicts];
    const judged: unknown[] = [];
    const sent: unknown[] = [];
    const told: unknown[] = [];
    await submitVideo(jobId, {
      log: recordingLogger().log,
      uploads,
      storage,
      moderation: {
        judge: (...given) => {
          judged.push(given);
          const verdict = left.shift();
          return Promise.resolve(
            verdict === "passed" ? { verdict } : { verdict: "refused", categories: ["violence"] },
          );
        },
      },
      providers: fakeProviders(fakeProvider({
        submit: ({ imageUrl, videoUrl, fields }) => {
          sent.push([imageUrl, videoUrl, fields]);
          return Promise.resolve({ outcome: "unknown", cause: "a test" });
        },
      })),
      config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
      ...fakeDatabase({
        claim_submission({ p_has_files, p_verdict }) {
          told.push(p_verdict);
          if (!p_has_files) {
            return {
              claimed: false,
              prompt: "all that was written",
              image_path: "a/one.jpg",
              source_path: "a/video.mp4",
              picture_paths: { [id]: "a/two.jpg" },
              image_seconds: 900,
              files_seconds: 900,
            };
          }
          return verdicts[1] === "passed"
            ? { ...claim, fields: { end: id, more: [id, "b"], seed: 1 } }
            : { claimed: false };
        },
        record_submission: () => ({ status: "processing", has_others: false }),
      }),
    });
    assert.deepEqual(judged, [["all that was written", url("a/one.jpg")], [
      "all that was written",
      url("a/two.jpg"),
    ]]);
    assert.equal((told[1] as { verdict: string }).verdict, verdicts[1]);
    assert.deepEqual(
      sent,
      verdicts[1] === "refused" ? [] : [[url("a/one.jpg"), url("a/video.mp4"), {
        end: url("a/two.jpg"),
        more: [url("a/two.jpg"), "b"],
        seed: 1,
      }]],
    );
  }
});

const picture = await Deno.readFile(new URL("images/fixtures/orientation-6.jpg", import.meta.url));
const page = (status: string, body: Uint8Array = new Uint8Array()) => ({
  pieces: [`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n`, body],
});

/** A job that is made from what an address leads to. */
async function submitFromUrl(given: {
  answers: FakeWorld["answers"] & object;
  recorded?: (outcome: Record<string, unknown>) => object;
  storage?: Parameters<typeof fakeStorage>[0];
}) {
  const { log, lines } = recordingLogger();
  const events: unknown[] = [];
  const uploads = fakeStorage(given.storage);
  const { recorded = ({ path }) => ({ image_path: path, image_seconds: 900 }) } = given;
  const web = fakeWeb({ names: { "a.example.com": ["93.184.215.14"] }, ...given });
  await submitVideo(jobId, {
    ...{ log, uploads, storage: fakeStorage() },
    fetchImage: (image) => fetchImage(image, { web, uploads }),
    moderation: {
      judge: (_, imageUrl) => {
        events.push(["judged", imageUrl]);
        return Promise.resolve({ verdict: "passed" });
      },
    },
    providers: fakeProviders(fakeProvider({
      submit: ({ imageUrl }) => {
        events.push(["sent", imageUrl]);
        return Promise.resolve({ outcome: "unknown", cause: "a test" });
      },
    })),
    config: { publicFunctionsUrl: "https://project.example.com/functions/v1", webhookSecret },
    ...fakeDatabase({
      claim_submission: ({ p_has_files }) =>
        p_has_files ? claim : {
          ...{ claimed: false, prompt: claim.prompt, image_url: "https://a.example.com/fox.jpg?token=1" },
          ...{ image_folder: "u/1", image_upload_id: "0190a000-0000-7000-8000-0000000000dd" },
        },
      record_image: ({ p_job_id, p_upload_id, p_outcome }) => {
        events.push(["kept", p_job_id, p_upload_id, Object(p_outcome).outcome]);
        return recorded(Object(p_outcome));
      },
      record_submission: () => ({ status: "processing", has_others: false }),
    }),
  });
  const line = lines.find(({ event }) => event === "image");
  assert(!JSON.stringify(lines).includes("example.com/fox"), "no address is logged");
  return { events, files: [...uploads.files.keys()], web, line };
}

Deno.test("what an address leads to is fetched once, and the copy of it is judged and sent", async () => {
  const { events, files, web, line } = await submitFromUrl({ answers: [page("200 OK", picture)] });
  const [path = ""] = files;
  assert.match(path, /^u\/1\/[\w-]{36}\.jpg$/);
  const url = `https://storage.example.com/${path}?expires=900`;
  const upload = "0190a000-0000-7000-8000-0000000000dd";
  assert.deepEqual(events, [["kept", jobId, upload, "kept"], ["judged", url], ["sent", url]]);
  assert.deepEqual(web.events, [
    "resolve a.example.com",
    "connect 93.184.215.14 a.example.com",
    "GET /fox.jpg?token=1 HTTP/1.1",
  ]);
  assert.deepEqual([line?.level, line?.outcome, line?.job_id], ["info", "kept", jobId]);
});

Deno.test("of two copies the first that was recorded is judged and sent", async () => {
  const uploaded = await submitFromUrl({
    answers: [page("200 OK", picture)],
    // Another worker's: here it is not in storage.
    recorded: () => ({ image_path: "u/1/first.jpg", image_seconds: 900 }),
  }).catch((error) => error);
  assert.equal(uploaded.code, "ERR_6002", "and not the second");
});

Deno.test("a picture that is not to be had, or of no use, is recorded, and nothing is judged or sent", async () => {
  const cases = [
    [page("404 Not Found"), "unusable", "missing"],
    [page("200 OK", new TextEncoder().encode("<html>")), "unusable", "not_an_image"],
    [page("503 Busy"), "unavailable", undefined],
    [new Error("refused"), "unavailable", undefined],
  ] as const;
  for (const [answer, outcome, reason] of cases) {
    const outcomes: Record<string, unknown>[] = [];
    const { events, files } = await submitFromUrl({
      answers: [answer, answer, answer],
      recorded: (recorded) => {
        outcomes.push(recorded);
        return {};
      },
    });
    assert.deepEqual([outcomes.length, outcomes[0]?.outcome, outcomes[0]?.reason], [1, outcome, reason]);
    assert.deepEqual([events.length, files], [1, []]);
  }
});

Deno.test("where our storage is away or full nothing is recorded of the picture: the task comes again", async () => {
  let recorded = 0;
  const failing = submitFromUrl({
    answers: [page("200 OK", picture)],
    recorded: () => ({ ...{ n: recorded += 1 } }),
    storage: { upload: () => Promise.reject(new AppError("ERR_6002")) },
  });
  await assert.rejects(failing, { code: "ERR_6002" });
  assert.equal(recorded, 0);
});
