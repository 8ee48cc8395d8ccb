/** One tensor from its stored pieces: uncode, dequantise, check (section 5). */

import { decodeContext } from "./context.js";
import { allocate, need } from "./errors.js";
import { PICTURES, rowsOf, SIZES } from "./manifest.js";
import { decodePicture, sheetOf } from "./pictures.js";
import { hexDigest } from "./sha256.js";
import { product } from "./values.js";
import { checkFrame, decodeFrame } from "./zstd.js";

const ARRAYS = { uint8: Uint8Array, int32: Int32Array, int64: BigInt64Array, float32: Float32Array };

/** Decode a tensor from its stored pieces, its values checked, the digests of chunks too. */
export async function decodeTensor(name, t, pieces, options, step) {
  const size = product(t.shape);
  const rowSize = size / t.shape[0];
  const what = `tensor '${name}'`;
  const width = t.quantiser ? 1 : SIZES[t.dtype];
  // All claims are compared before anything is allocated for them.
  const claims = (piece, i) => checkFrame(what, piece, rowsOf(t, i) * rowSize * width, options.limits);
  const frames = t.coder === "zstd" ? pieces.map(claims) : [];
  const sheets = PICTURES.includes(t.coder) ? pieces.map((p, i) => sheetOf(what, p, t, rowsOf(t, i))) : [];
  const stored = allocate(size * width, what);
  const out = t.quantiser ? allocate(size * 4, what) : stored;
  for (let i = 0, row = 0; i < pieces.length; row += rowsOf(t, i++)) {
    const compare = async (bytes) =>
      need(
        !options.check || !t.digests || (await hexDigest(bytes)) === t.digests[i],
        `${what}: the digest of chunk ${i} does not match`,
        "DDS-E031",
      );
    const shape = [rowsOf(t, i), ...t.shape.slice(1)];
    const target = stored.subarray(row * rowSize * width, (row + shape[0]) * rowSize * width);
    if (sheets.length) {
      await compare(pieces[i]);
      await decodePicture(what, pieces[i], t, sheets[i], target, options);
    } else {
      if (t.coder === "raw") target.set(pieces[i]);
      else if (t.coder === "zstd") decodeFrame(what, pieces[i], target, frames[i]);
      else decodeContext(what, pieces[i], target, shape, t.quantiser?.bits ?? 8);
      const values = out.subarray(row * rowSize * SIZES[t.dtype], (row + shape[0]) * rowSize * SIZES[t.dtype]);
      if (t.quantiser) dequantise(what, target, values, t.quantiser, row, shape[0]);
      checkFinite(what, t.dtype, values);
      await compare(values);
    }
    step(pieces[i].length);
  }
  const data = t.dtype === "float16" ? fromHalf(out) : new ARRAYS[t.dtype](out.buffer);
  return { name, dtype: t.dtype, shape: t.shape, data, bytes: out };
}

function checkFinite(what, dtype, bytes) {
  const mask = { float32: 0x7f800000, float16: 0x7c00 }[dtype];
  if (!mask) return;
  const bits = dtype === "float32" ? Uint32Array : Uint16Array;
  const words = new bits(bytes.buffer, bytes.byteOffset, bytes.length / bits.BYTES_PER_ELEMENT);
  for (const word of words) if ((word & mask) === mask) need(false, `${what}: a value is not finite`, "DDS-E023");
}

function fromHalf(bytes) {
  return Float32Array.from(new Uint16Array(bytes.buffer), (bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
    return bits >> 15 ? -size : size;
  });
}

function dequantise(what, symbols, bytes, q, row, rows) {
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, symbols.length);
  const levels = Array.from({ length: 2 ** q.bits }, (_, i) => i);
  const each = q.kind === "uniform" && q.scale.length > 1 ? symbols.length / rows : symbols.length;
  for (let at = 0; at < symbols.length; at += each, row++) {
    const [offset, scale] = q.kind === "square" ? [] : [q.offset, q.scale].map((v) => v[v.length > 1 ? row : 0]);
    const table = Float32Array.from(levels, (i) => (q.kind === "square" ? q.scale * (i * i) : offset + scale * i));
    for (let i = at; i < at + each; i++) {
      if (symbols[i] >= table.length) need(false, `${what}: a symbol is out of range`, "DDS-E022");
      values[i] = table[symbols[i]];
    }
  }
}
