/** Pieces stored as one WebP or AVIF picture: images side by side on a sheet (section 5.2). */

import { DDSetError, limit, need, unsupported } from "./errors.js";
import { ceil } from "./values.js";
import { decodeWebp, webpSize } from "./webp.js";

const SIDE = 16383; // pixels
const PIXELS = 2 ** 26; // of a sheet

/** The sheet of a piece of n rows; refuses one too large, or a picture that claims another size. */
export function sheetOf(what, piece, t, n) {
  const [, , h, w] = t.shape;
  let root = 1;
  while (root * root < n) root++;
  const columns = Math.max(1, Math.min(root, Math.floor(SIDE / w)));
  const [width, height] = [columns * w, ceil(n, columns) * h];
  limit(Math.max(width, height), SIDE, `${what}: a picture of ${width}x${height} pixels`);
  limit(width * height, PIXELS, `${what}: a picture of ${width}x${height} pixels`);
  const claimed = t.coder === "webp" ? webpSize(piece) : avifSize(piece);
  const fits = claimed?.width === width && claimed.height === height;
  need(fits, `${what}: ${t.coder}: not a plain picture of ${width}x${height} pixels`, "DDS-E025");
  return { columns, width, height, n };
}

/** What all image spatial extents ('ispe' boxes, ISO/IEC 23008-12) of an AVIF file say, if the same. */
function avifSize(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let size = null;
  if (data.length < 12 || view.getUint32(4) !== 0x66747970) return null; // 'ftyp'
  for (let at = 4; at + 16 <= data.length; at++) {
    if (view.getUint32(at) !== 0x69737065 || view.getUint32(at - 4) !== 20) continue;
    const found = { width: view.getUint32(at + 8), height: view.getUint32(at + 12) };
    if (size && (size.width !== found.width || size.height !== found.height)) return null;
    size = found;
  }
  return size;
}

/** Decode the images of a piece into `target`, C order. */
export async function decodePicture(what, piece, t, sheet, target, options) {
  const fail = (why) => new DDSetError("DDS-E025", `${what}: ${t.coder}: ${why}`);
  const [, channels, h, w] = t.shape;
  let pixels;
  if (t.coder === "webp") {
    try {
      pixels = decodeWebp(piece);
    } catch (error) {
      throw fail(error.message);
    }
  } else {
    pixels = await decodeAvif(piece, options, fail);
    const fits = pixels?.width === sheet.width && pixels.height === sheet.height;
    if (!fits || pixels.data?.length !== 4 * sheet.width * sheet.height) throw fail("decoded to another size");
  }
  const { data } = pixels;
  for (let i = 3; i < data.length; i += 4) if (data[i] !== 255) throw fail("has transparency");
  let at = 0;
  for (let i = 0; i < sheet.n; i++) {
    const [top, left] = [Math.floor(i / sheet.columns) * h, (i % sheet.columns) * w];
    for (let c = 0; c < channels; c++)
      for (let y = top; y < top + h; y++) {
        let source = 4 * (y * sheet.width + left) + (channels === 1 ? 1 : c); // of grey the green one
        for (let x = 0; x < w; x++, source += 4) target[at++] = data[source];
      }
  }
}

async function decodeAvif(piece, options, fail) {
  if (!options.decodePicture && typeof createImageBitmap !== "function")
    unsupported("images are stored as AVIF, which nothing here decodes; give the option decodePicture");
  try {
    return await (options.decodePicture ?? byPlatform)(piece, "avif");
  } catch (error) {
    throw fail(`damaged, or not decoded here (${String(error?.message ?? error).slice(0, 80)})`);
  }
}

async function byPlatform(piece) {
  const blob = new Blob([piece], { type: "image/avif" });
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}
