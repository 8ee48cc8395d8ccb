/** Still WebP pictures (RFC 9649) of one chunk, decoded to the same bits as by libwebp. */

import { little } from "./values.js";
import { decodeVp8 } from "./vp8.js";
import { decodeVp8l } from "./vp8l.js";

const tag = (data, at) => String.fromCharCode(...data.subarray(at, at + 4));

/** What a file of a single picture claims, {width, height}; null for any other. */
export function webpSize(data) {
  if (data.length < 30 || tag(data, 0) !== "RIFF" || tag(data, 8) !== "WEBP") return null;
  const [file, chunk] = [little(data, 4, 4), little(data, 16, 4)];
  if (file + 8 !== data.length || (chunk !== data.length - 20 && chunk !== data.length - 21)) return null;
  if (tag(data, 12) === "VP8 " && little(data, 23, 3) === 0x2a019d)
    return { width: little(data, 26, 2) & 0x3fff, height: little(data, 28, 2) & 0x3fff };
  if (tag(data, 12) !== "VP8L" || data[20] !== 0x2f) return null;
  const both = little(data, 21, 4);
  return { width: (both & 0x3fff) + 1, height: ((both >> 14) & 0x3fff) + 1 };
}

/** Decode a file whose size was compared; {width, height, data: RGBA}. Throws a plain Error for damage. */
export function decodeWebp(data) {
  const picture = data.subarray(20, 20 + little(data, 16, 4));
  return { ...webpSize(data), data: tag(data, 12) === "VP8 " ? decodeVp8(picture) : decodeVp8l(picture) };
}
