import assert from "node:assert/strict";
import fc from "fast-check";
import { box, fileType, join, media, movie, type MovieOptions, mp4 } from "../testing/mp4.ts";
import { readMp4 } from "./mp4.ts";

/** What is read of a file that arrives in pieces of so many bytes. */
function read(file: Uint8Array, pieceLength = file.length) {
  const reader = readMp4();
  for (let offset = 0; offset < file.length; offset += pieceLength) {
    reader.push(file.subarray(offset, offset + pieceLength));
  }
  return reader.finish();
}

const facts = { durationMilliseconds: 5000, width: 1280, height: 720, codec: "avc1", frames: 120 };
const empty = new Uint8Array(0);

Deno.test("a video tells its duration and the size of its picture, however it arrives", () => {
  for (const pieceLength of [undefined, 1, 3, 16, 1000]) assert.deepEqual(read(mp4(), pieceLength), facts);
});

Deno.test("the picture's own duration counts, not that of a longer sound", () => {
  assert.equal(read(mp4({ pictureDuration: 1200 }))?.durationMilliseconds, 1200);
  assert.equal(read(mp4({ pictureDuration: 0xffff_ffff }))?.durationMilliseconds, 5000, "where it is known");
});

Deno.test("a picture that is turned is shown upright, and one that is blown up has the size it is made in", () => {
  const sizeOf = (options: MovieOptions) => {
    const { width, height } = read(mp4(options)) ?? {};
    return [width, height];
  };
  assert.deepEqual(sizeOf({ isTurned: true }), [720, 1280]);
  const made = { width: 640, height: 360 };
  assert.deepEqual(sizeOf({ made }), [640, 360]);
  assert.deepEqual(sizeOf({ isTurned: true, made }), [360, 640]);
  assert.deepEqual(sizeOf({ made: { width: 960, height: 720 } }), [1280, 720], "it has wide pixels");
  assert.deepEqual(sizeOf({ made: { width: 1280, height: 736 } }), [1280, 720], "it is cropped");
});

Deno.test("a file tells its codec and how many pictures it has", () => {
  assert.deepEqual(read(mp4({ codec: "hvc1", frames: 1 })), { ...facts, codec: "hvc1", frames: 1 });
  assert.equal(read(mp4({ frames: 0 }))?.frames, 0);
  assert.equal(read(mp4({ frames: 2 ** 32 - 1 }))?.frames, 2 ** 31 - 1, "an integer of the database's");
  for (const codec of ["\0\0\0\0", "avc\n", "\x80vc1"]) {
    assert.equal(read(mp4({ codec }))?.codec, null, codec);
  }
});

Deno.test("of a file in fragments only what it states as a whole is known", () => {
  const fragmented = (duration: number | null) => read(mp4({ duration: 0n, fragments: { duration } }));
  assert.deepEqual(fragmented(null), { ...facts, durationMilliseconds: null, frames: null });
  assert.deepEqual(fragmented(6000), { ...facts, durationMilliseconds: 6000, frames: null });
});

Deno.test("the movie may come after the media, and among boxes that nobody knows", () => {
  const unknown = box("free", new Uint8Array(9));
  assert.deepEqual(read(join(fileType, unknown, media, unknown, movie())), facts);
});

Deno.test("sizes of 64 bits, and a last box until the end of the file, are read", () => {
  const long = box("mdat", new Uint8Array(100), 1);
  for (const pieceLength of [undefined, 1, 9]) {
    assert.deepEqual(read(join(fileType, long, movie()), pieceLength), facts);
    assert.deepEqual(read(join(fileType, movie(), box("mdat", new Uint8Array(50), 0)), pieceLength), facts);
  }
});

/** The whole file with another size for the last box of its movie, the track with the picture. */
function withTrackSize(change: (size: number) => number): Uint8Array {
  const moov = movie();
  const at = String.fromCharCode(...moov).lastIndexOf("trak") - 4;
  const view = new DataView(moov.buffer);
  view.setUint32(at, change(view.getUint32(at)));
  return join(fileType, moov, media);
}

Deno.test("a last box until the end of its container is read, and one that is longer is not believed", () => {
  assert.deepEqual(read(withTrackSize((size) => size)), facts);
  assert.deepEqual(read(withTrackSize(() => 0)), facts);
  assert.equal(read(withTrackSize((size) => size + 1)), null);
});

Deno.test("times of 64 bits are read", () => {
  assert.deepEqual(read(mp4({ version: 1, timescale: 24, duration: 120n })), facts);
});

Deno.test("a duration that is not stated, or cannot be, is not known", () => {
  const unknown = { ...facts, durationMilliseconds: null };
  assert.deepEqual(read(mp4({ duration: 0n })), unknown);
  assert.deepEqual(read(mp4({ duration: 0xffff_ffffn })), unknown);
  assert.deepEqual(read(mp4({ version: 1, duration: 0xffff_ffff_ffff_ffffn })), unknown);
  assert.deepEqual(read(mp4({ timescale: 1, duration: 86_401n })), unknown);
  assert.equal(read(mp4({ timescale: 1, duration: 86_400n }))?.durationMilliseconds, 86_400_000);
});

Deno.test("what is no MP4 is known to be none at its first box", () => {
  const page = new TextEncoder().encode("<!doctype html><title>Not found</title>");
  const webm = Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3, 0, 0, 0, 0, 0);
  for (const file of [page, webm, join(movie(), fileType, media)]) {
    const reader = readMp4();
    assert.equal(reader.push(file), false);
    assert.equal(reader.push(mp4()), false, "and stays none");
    assert.equal(reader.finish(), null);
  }
});

Deno.test("a file that is cut off is no video, wherever it is cut", () => {
  const file = mp4();
  for (let length = 0; length < file.length; length += 1) {
    const reader = readMp4();
    assert.equal(reader.push(file.subarray(0, length)), true);
    assert.equal(reader.finish(), null, `${length} bytes`);
  }
  assert.equal(read(join(file, file.subarray(0, 7))), null, "nor one with the beginning of another box");
});

Deno.test("a file without media, movie, picture or time is no video", () => {
  for (
    const file of [
      empty,
      fileType,
      join(fileType, movie()),
      join(fileType, media),
      mp4({ handler: "soun" }),
      mp4({ width: 0 }),
      mp4({ height: 0 }),
      mp4({ timescale: 0 }),
      join(fileType, box("moov", empty), media),
      join(fileType, box("moov", box("mvhd", new Uint8Array(100))), media),
      join(fileType, box("moov", box("mvhd", new Uint8Array(3))), media),
    ]
  ) {
    assert.equal(read(file), null);
  }
});

Deno.test("boxes that lie about their size are no video, and cost nothing", () => {
  const inner = (size: number) => join(fileType, box("moov", box("trak", new Uint8Array(20), size)), media);
  for (const size of [1, 2, 7, 29, 0xffff_ffff]) assert.equal(read(inner(size)), null, `inner ${size}`);
  const outer = (size: number) => join(fileType, box("free", new Uint8Array(20), size), movie(), media);
  for (const size of [2, 7, 0xffff_ffff]) assert.equal(read(outer(size)), null, `outer ${size}`);
  const endless = box("free", empty, 1);
  new DataView(endless.buffer).setBigUint64(8, 0n);
  assert.equal(read(join(fileType, box("moov", endless), media)), null, "it ends, too");
  const negative = box("free", empty, 1);
  new DataView(negative.buffer).setBigUint64(8, 15n);
  assert.equal(read(join(fileType, negative, movie(), media)), null);
});

Deno.test("a second movie, or one larger than any hour has, is refused before it is kept", () => {
  assert.equal(read(join(fileType, movie(), movie(), media)), null);
  for (const size of [0, 4 * 1024 * 1024 + 9]) {
    const reader = readMp4();
    assert.equal(reader.push(join(fileType, box("moov", empty, size))), false, `${size}`);
  }
  const largest = readMp4();
  assert.equal(largest.push(join(fileType, box("moov", empty, 4 * 1024 * 1024 + 8))), true);
});

Deno.test("a file of nothing but boxes ends the reading, whatever else it has", () => {
  const one = box("free", empty);
  const many = new Uint8Array(one.length * 20_000);
  for (let offset = 0; offset < many.length; offset += one.length) many.set(one, offset);
  const reader = readMp4();
  assert.equal(reader.push(mp4()), true);
  assert.equal(reader.push(many.subarray(3 * one.length)), true, "it has 20,000 by now");
  assert.equal(reader.push(one), false);
  assert.equal(reader.finish(), null);
});

Deno.test("no change of a file makes the reader throw", () => {
  const file = mp4();
  const change = fc.tuple(fc.nat(file.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1 }), fc.integer({ min: 1, max: 200 }), (changes, piece) => {
      const changed = file.slice();
      for (const [offset, byte] of changes) changed[offset] = byte;
      read(changed, piece);
    }),
  );
});
