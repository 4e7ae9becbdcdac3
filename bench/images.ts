/** CPU time of looking at a picture of 10 MB and cleaning it, which a function does before it copies one. */
import { crc32 } from "node:zlib";
import { cleanImage } from "../supabase/functions/_shared/videos/images/clean.ts";
import { maxImageBytes } from "../supabase/functions/_shared/videos/images/picture.ts";
import { cpuSeconds } from "../local/processes/process-usage.ts";
import { showProgress } from "./progress.ts";
import { bound, type Findings } from "./report.ts";

const fixtures = new URL("../supabase/functions/_shared/videos/images/fixtures/", import.meta.url);

/** An isolate may take 2 s over its life, and has its requests, a TLS handshake and a copy to Storage to do as well. */
const budgetMilliseconds = 500;

/** Measures each format `times` times, after one that warms up, and tells their means. */
export async function measureImages(times: number): Promise<Findings> {
  const pictures = [["JPEG", await largeJpeg()], ["PNG", await largePng()]] as const;
  const rows = pictures.map(([name, file]) => {
    showProgress(`a ${name} of 10 MB`);
    cleanImage(file);
    const before = cpuSeconds(Deno.pid) ?? NaN;
    for (let turn = 0; turn < times; turn += 1) cleanImage(file);
    return { name, milliseconds: 1_000 * ((cpuSeconds(Deno.pid) ?? NaN) - before) / times };
  });
  return {
    goals: rows.map(({ name, milliseconds }) =>
      bound(`CPU of a ${name} of 10 MB, looked at and cleaned`, milliseconds, {
        atMost: budgetMilliseconds,
        unit: " ms",
      })
    ),
    tables: [],
  };
}

/** A fixture whose compressed pixels go on, to 10 MB. */
async function largeJpeg(): Promise<Uint8Array<ArrayBuffer>> {
  const file = await Deno.readFile(new URL("full.jpg", fixtures));
  const end = file.subarray(-2);
  const start = file.subarray(0, -2);
  const pixels = random(maxImageBytes - file.length);
  // As encoders write it: 0xff is followed by 0, or it would begin a marker.
  for (let at = 0; at < pixels.length; at += 1) if (pixels[at] === 0xff) pixels[at + 1] = 0;
  pixels[pixels.length - 1] = 0;
  return await joined([start, pixels, end]);
}

/** The same of a PNG: one IDAT more, with its checksum. */
async function largePng(): Promise<Uint8Array<ArrayBuffer>> {
  const file = await Deno.readFile(new URL("rgb8.png", fixtures));
  const end = file.subarray(-12);
  const start = file.subarray(0, -12);
  const typed = await joined([
    new TextEncoder().encode("IDAT"),
    random(maxImageBytes - file.length - 12),
  ]);
  return await joined([start, number(typed.length - 4), typed, number(crc32(typed)), end]);
}

function number(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function random(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  // So much at once is what there is to be had.
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

async function joined(parts: Uint8Array<ArrayBuffer>[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
