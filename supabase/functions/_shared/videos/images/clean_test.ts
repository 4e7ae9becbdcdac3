import assert from "node:assert/strict";
import { type CleanImage, cleanImage } from "./clean.ts";
import { ascii, joined, maxImageBytes, UnusableImage, type UnusableReason, viewOf } from "./picture.ts";
import { readOrientation, writeOrientation } from "./exif.ts";
import { checksum } from "./png.ts";

/** fixtures/make.sh makes them. */
function fixture(name: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

const text = (value: string) => Uint8Array.from(value, (letter) => letter.charCodeAt(0));
const whole = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length }, (_, at) => ascii(bytes, at, at + 1)).join("");
const concatenated = (...parts: (Uint8Array | string)[]) =>
  joined(parts.map((part) => typeof part === "string" ? text(part) : part));

function reasonOf(file: Uint8Array): UnusableReason | CleanImage {
  try {
    return cleanImage(file);
  } catch (error) {
    assert(error instanceof UnusableImage, String(error));
    return error.reason;
  }
}

/** A JPEG's segment with this content. */
function segment(marker: number, content: Uint8Array | string): Uint8Array {
  const bytes = concatenated(content);
  const length = bytes.length + 2;
  return concatenated(Uint8Array.of(0xff, marker, length >> 8, length & 0xff), bytes);
}

/** A JPEG with these segments behind its beginning. */
function withSegments(...segments: Uint8Array[]): Uint8Array {
  const file = fixture("baseline.jpg");
  return joined([file.subarray(0, 2), ...segments, file.subarray(2)]);
}

function pngChunk(type: string, data: Uint8Array | string): Uint8Array {
  const content = concatenated(type, data);
  const frame = new DataView(new ArrayBuffer(8));
  frame.setUint32(0, content.length - 4);
  frame.setUint32(4, checksum(content));
  return concatenated(new Uint8Array(frame.buffer, 0, 4), content, new Uint8Array(frame.buffer, 4));
}

/** A PNG with these chunks behind its header. */
function withChunks(...chunks: Uint8Array[]): Uint8Array {
  const file = fixture("rgb8.png");
  return joined([file.subarray(0, 33), ...chunks, file.subarray(33)]);
}

const types = { jpg: "image/jpeg", png: "image/png", webp: "image/webp" } as const;
const accepted: readonly string[] = [
  ...["baseline.jpg", "progressive.jpg", "gray.jpg", "full.jpg", "phone.jpg"],
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((orientation) => `orientation-${orientation}.jpg`),
  ...["rgb8.png", "rgb16.png", "palette.png", "interlaced.png", "alpha.png", "phone.png", "widest.png"],
  ...["lossy.webp", "lossless.webp", "alpha.webp", "phone.webp"],
];

Deno.test("pictures of every kind that is taken come out clean, and cleaning them again changes nothing", () => {
  for (const name of accepted) {
    const image = cleanImage(fixture(name));
    const extension = name.split(".").at(-1) ?? "";
    assert.equal(image.contentType, Reflect.get(types, extension), name);
    assert.deepEqual(cleanImage(image.content), image, name);
    assert(image.content.length <= fixture(name).length, name);
  }
});

Deno.test("what is clean already is copied byte by byte", () => {
  for (const name of ["baseline.jpg", "progressive.jpg", "lossy.webp", "lossless.webp", "alpha.webp"]) {
    assert.deepEqual(cleanImage(fixture(name)).content, fixture(name), name);
  }
});

Deno.test("nothing that a phone writes about its user, its place and itself is left, nor what stands behind the picture's end", () => {
  for (const name of ["phone.jpg", "phone.png", "phone.webp"]) {
    const file = fixture(name);
    const { content, width, height } = cleanImage(file);
    for (
      const said of ["Apple", "iPhone", "Secret", "Somebody", "2026:11:20", "17.0", "GPS", "xap", "8BIM"]
    ) {
      // The profile is Ghostscript's, and names nobody.
      assert(!whole(content).replaceAll("APPL", "").includes(said), `${name}: ${said}`);
    }
    assert(/Somebody/.test(whole(file)), `${name} had it`);
    assert.deepEqual([width, height], [72, 96], `${name} is upright`);
    assert(
      whole(content).includes(name.endsWith("png") ? "iCCP" : "acsp"),
      `${name} keeps its colour profile`,
    );
  }
  const { content } = cleanImage(fixture("phone.jpg"));
  assert.equal(whole(content).split("\xff\xd9").length, 2, "the picture behind the picture is gone");
});

Deno.test("the orientation is kept, and the sides are told as the picture is shown", () => {
  for (const orientation of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const { content, width, height } = cleanImage(fixture(`orientation-${orientation}.jpg`));
    assert.deepEqual([width, height], orientation >= 5 ? [72, 96] : [96, 72], `${orientation}`);
    const at = whole(content).indexOf("Exif\0\0");
    assert.equal(at === -1 ? 1 : readOrientation(content.subarray(at + 6)), orientation);
  }
});

Deno.test("EXIF in either order of bytes tells the orientation, and a malformed one tells none", () => {
  const big = writeOrientation(8);
  assert.equal(readOrientation(big), 8);
  const little = new Uint8Array(26);
  const view = viewOf(little);
  little.set(text("II"));
  for (const [at, value] of [[2, 42], [4, 8], [8, 1], [10, 0x112], [12, 3], [14, 1], [18, 5]] as const) {
    view.setUint16(at, value, true);
  }
  assert.equal(readOrientation(little), 5);
  for (let length = 0; length < 22; length += 1) assert.equal(readOrientation(big.subarray(0, length)), 1);
  for (const [at, value] of [[0, 0x41], [3, 41], [4, 0xff], [13, 4], [19, 9], [19, 0]] as const) {
    const broken = big.slice();
    broken[at] = value;
    assert.equal(readOrientation(broken), 1, `${at}`);
  }
});

Deno.test("Content Credentials stay, over all their segments, and no other box of their kind does", () => {
  const c2pa = "c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71";
  const box = (id: number, number: number, uuid: string) =>
    segment(
      0xeb,
      `JP\0${String.fromCharCode(id)}\0\0\0${
        String.fromCharCode(number)
      }\0\0\0\x40jumb\0\0\0\x20jumd${uuid}rest`,
    );
  const more = segment(0xeb, "JP\0\x01\0\0\0\x02\0\0\0\x40jumbmore of it");
  const other = box(2, 1, "json\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71");
  const jpeg = whole(cleanImage(withSegments(box(1, 1, c2pa), more, other)).content);
  assert(jpeg.includes(c2pa) && jpeg.includes("more of it") && !jpeg.includes("json"));
  assert(whole(cleanImage(withChunks(pngChunk("caBX", "manifest"))).content).includes("manifest"));
  const webp = fixture("phone.webp");
  const chunk = concatenated("C2PA", Uint8Array.of(8, 0, 0, 0), "manifest");
  const credited = concatenated(webp, chunk);
  viewOf(credited).setUint32(4, credited.length - 8, true);
  assert(whole(cleanImage(credited).content).includes("manifest"));
});

Deno.test("a picture that cannot be used is refused with the reason", () => {
  const jpeg = fixture("baseline.jpg");
  const png = fixture("rgb8.png");
  const webp = fixture("lossy.webp");
  const cases: [string, Uint8Array, UnusableReason][] = [
    ["nothing", new Uint8Array(0), "not_an_image"],
    ["one byte", Uint8Array.of(0xff), "not_an_image"],
    ["a text", text("hello"), "not_an_image"],
    ["a page", text("<!doctype html><script>alert(1)</script>"), "not_an_image"],
    ["a PDF", text("%PDF-1.7\n"), "not_an_image"],
    ["an archive before a picture", concatenated("PK\x03\x04", jpeg), "not_an_image"],
    ["an SVG", fixture("still.svg"), "not_an_image"],
    ["a GIF", fixture("still.gif"), "wrong_type"],
    ["a BMP", fixture("still.bmp"), "wrong_type"],
    ["a TIFF", fixture("still.tif"), "wrong_type"],
    ["an HEIC", concatenated("\0\0\0\x18ftypheic", new Uint8Array(12)), "wrong_type"],
    ["an AVIF", concatenated("\0\0\0\x18ftypavif", new Uint8Array(12)), "wrong_type"],
    ["CMYK", fixture("cmyk.jpg"), "wrong_type"],
    ["an animated WebP", fixture("animated.webp"), "wrong_type"],
    ["an animated PNG", withChunks(pngChunk("acTL", "\0\0\0\x02\0\0\0\0")), "wrong_type"],
    ["too narrow", fixture("narrow.png"), "wrong_size"],
    ["too wide", fixture("wide.png"), "wrong_size"],
    ["too many bytes", joined([jpeg, new Uint8Array(maxImageBytes)]), "too_large"],
    ["two frames", joined([jpeg.subarray(0, -2), frameOf(jpeg), jpeg.subarray(-2)]), "not_an_image"],
    [
      "a thousand scans",
      joined([jpeg.subarray(0, -2), ...Array(1000).fill(scanOf(jpeg)), jpeg.subarray(-2)]),
      "not_an_image",
    ],
    ["a PNG without pixels", joined([png.subarray(0, 33), pngChunk("IEND", "")]), "not_an_image"],
    ["a PNG with two headers", withChunks(png.subarray(8, 33)), "not_an_image"],
    ["a critical chunk that is not known", withChunks(pngChunk("EVIL", "")), "not_an_image"],
    ["a broken chunk", flipped(png, 60), "not_an_image"],
    ["a header of 100,000 by 100,000", bomb(100_000, 100_000), "wrong_size"],
    ["a header of 2^31 by 1", bomb(2 ** 31, 1), "wrong_size"],
    ["no height", bomb(96, 0), "wrong_size"],
    ["two pictures in a WebP", doubled(webp), "not_an_image"],
    ["a canvas that is not the picture", flipped(fixture("phone.webp"), 24), "not_an_image"],
  ];
  for (const [what, file, reason] of cases) assert.equal(reasonOf(file), reason, what);
});

Deno.test("a JPEG that not every decoder reads is a wrong type, by its marker, its bits and its components", () => {
  const jpeg = fixture("baseline.jpg");
  const frame = whole(jpeg).indexOf("\xff\xc0");
  for (const marker of [0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]) {
    const other = jpeg.slice();
    other[frame + 1] = marker;
    assert.equal(reasonOf(other), "wrong_type", `${marker}`);
  }
  const twelveBits = jpeg.slice();
  twelveBits[frame + 4] = 12;
  assert.equal(reasonOf(twelveBits), "wrong_type");
});

Deno.test("a picture that ends too early is none, wherever it ends", () => {
  for (const name of ["phone.jpg", "progressive.jpg", "palette.png", "lossy.webp", "lossless.webp"]) {
    // What stands behind the end of phone.jpg is not the picture's.
    const file = name === "phone.jpg" ? cleanImage(fixture(name)).content : fixture(name);
    for (let length = 0; length < file.length; length += 1) {
      assert.equal(
        reasonOf(file.subarray(0, length)),
        "not_an_image",
        `${name}, ${length} bytes of ${file.length}`,
      );
    }
  }
});

Deno.test("what is hidden in a picture, or behind it, does not come out again", () => {
  const secret = "<script>alert('hidden')</script>PK\x03\x04";
  const hidden: [string, Uint8Array][] = [
    ["behind a JPEG", concatenated(fixture("baseline.jpg"), secret)],
    ["behind a PNG", concatenated(fixture("rgb8.png"), secret)],
    ["behind a WebP", concatenated(fixture("lossy.webp"), secret)],
    ["a comment", withSegments(segment(0xfe, secret))],
    ...Array.from(
      { length: 16 },
      (_, n): [string, Uint8Array] => [`APP${n}`, withSegments(segment(0xe0 + n, secret))],
    ),
    ["a text", withChunks(pngChunk("tEXt", secret))],
    ["a chunk of nobody's", withChunks(pngChunk("hiDE", secret))],
    ["JFIF's thumbnail", withSegments(segment(0xe0, `JFIF\0\x01\x01\0\0\x01\0\x01\x05\x05${secret}`))],
    [
      "EXIF behind its entry",
      withSegments(segment(0xe1, concatenated("Exif\0\0", writeOrientation(3), secret))),
    ],
  ];
  for (const [where, file] of hidden) {
    const { content } = cleanImage(file);
    assert(whole(file).includes("hidden") && !whole(content).includes("hidden"), where);
  }
});

Deno.test("millions of empty parts are no picture, and EXIF is written once, however many chunks have no pixels", () => {
  const endless = (part: Uint8Array) =>
    new Uint8Array(part.length * 20_000).map((_, at) => part[at % part.length] ?? 0);
  const webp = joined([fixture("lossy.webp"), endless(concatenated("NONE", new Uint8Array(4)))]);
  viewOf(webp).setUint32(4, webp.length - 8, true);
  const files = [
    withSegments(endless(segment(0xdb, ""))),
    withSegments(endless(segment(0xfe, ""))),
    withChunks(endless(pngChunk("IDAT", ""))),
    withChunks(endless(pngChunk("tEXt", ""))),
    webp,
  ];
  for (const file of files) assert.equal(reasonOf(file), "not_an_image");

  const empty = pngChunk("IDAT", "");
  const { content } = cleanImage(withChunks(pngChunk("eXIf", writeOrientation(6)), empty, empty, empty));
  assert.equal(whole(content).split("eXIf").length, 2);
});

Deno.test("no bytes whatever make it fail otherwise, nor take long", () => {
  for (const name of accepted.filter((name) => !name.includes("orientation"))) {
    const file = fixture(name);
    for (let at = 0; at < Math.min(file.length, 1500); at += 3) {
      for (const bit of [0x01, 0x80]) {
        const broken = file.slice();
        broken[at] = (broken[at] ?? 0) ^ bit;
        reasonOf(broken);
      }
    }
  }
});

function frameOf(jpeg: Uint8Array): Uint8Array {
  const at = whole(jpeg).indexOf("\xff\xc0");
  return jpeg.subarray(at, at + 2 + viewOf(jpeg).getUint16(at + 2));
}

function scanOf(jpeg: Uint8Array): Uint8Array {
  return jpeg.subarray(whole(jpeg).indexOf("\xff\xda"), -2);
}

function flipped(file: Uint8Array, at: number): Uint8Array {
  const broken = file.slice();
  broken[at] = (broken[at] ?? 0) ^ 0xff;
  return broken;
}

/** A PNG of a few bytes that says to be so large. */
function bomb(width: number, height: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8);
  header.setUint8(9, 2);
  return joined([
    fixture("rgb8.png").subarray(0, 8),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    pngChunk("IDAT", "x"),
    pngChunk("IEND", ""),
  ]);
}

function doubled(webp: Uint8Array): Uint8Array {
  const twice = joined([webp, webp.subarray(12)]);
  viewOf(twice).setUint32(4, twice.length - 8, true);
  return twice;
}
