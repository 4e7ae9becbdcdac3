/** EXIF, of which only the orientation is of any use here: a TIFF header, and a list of entries of 12 bytes. */

/** TIFF's names for the order of its bytes, as 16-bit numbers that read the same either way. */
const littleEndian = 0x4949;
const bigEndian = 0x4d4d;
const orientationTag = 0x0112;
const short = 3;

/**
 * The orientation that EXIF (from its TIFF header on) tells, 1 to 8. 1, which changes nothing, where it tells none or
 * cannot be read: what shows pictures takes it so, too.
 */
export function readOrientation(exif: Uint8Array): number {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  if (exif.length < 8) return 1;
  const order = view.getUint16(0);
  if (order !== littleEndian && order !== bigEndian) return 1;
  const isLittle = order === littleEndian;
  const list = view.getUint32(4, isLittle);
  if (view.getUint16(2, isLittle) !== 42 || list + 2 > exif.length) return 1;
  const entries = view.getUint16(list, isLittle);
  for (let entry = list + 2; entry < list + 2 + entries * 12 && entry + 12 <= exif.length; entry += 12) {
    if (view.getUint16(entry, isLittle) !== orientationTag) continue;
    const value = view.getUint16(entry + 2, isLittle) === short ? view.getUint16(entry + 8, isLittle) : 1;
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** EXIF that tells the orientation and nothing else: 26 bytes. */
export function writeOrientation(orientation: number): Uint8Array {
  const exif = new Uint8Array(26);
  const view = new DataView(exif.buffer);
  view.setUint16(0, bigEndian);
  view.setUint16(2, 42);
  // The list begins after the header, and has one entry; no other list follows.
  view.setUint32(4, 8);
  view.setUint16(8, 1);
  view.setUint16(10, orientationTag);
  view.setUint16(12, short);
  view.setUint32(14, 1);
  view.setUint16(18, orientation);
  return exif;
}
