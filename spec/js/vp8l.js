/** Lossless WebP (RFC 9649, section 3), to RGBA. Pixels are 32-bit integers, alpha highest. */

import { demand } from "./errors.js";
import { toByte } from "./values.js";

class Bits {
  constructor(data) {
    Object.assign(this, { data, at: 0 });
  }

  bit() {
    demand(this.at >> 3 < this.data.length, "cut short");
    return (this.data[this.at >> 3] >> (this.at++ & 7)) & 1;
  }

  read(n) {
    let value = 0;
    for (let i = 0; i < n; i++) value += this.bit() * 2 ** i;
    return value;
  }
}

/** Decode the payload of a chunk `VP8L`. */
export function decodeVp8l(data) {
  const bits = new Bits(data);
  demand(bits.read(8) === 0x2f, "no lossless picture");
  const [width, height] = [bits.read(14) + 1, bits.read(14) + 1];
  demand(!bits.bit(), "has transparency");
  demand(bits.read(3) === 0, "of another version");
  const transforms = [];
  let columns = width;
  while (bits.bit()) {
    const transform = readTransform(bits, columns, height);
    demand(!transforms.some(({ kind }) => kind === transform.kind), "damaged");
    transforms.push(transform);
    columns = transform.columns ?? columns;
  }
  let pixels = readPixels(bits, columns, height, true);
  for (const transform of transforms.reverse()) pixels = UNDO[transform.kind](pixels, transform, width, height);
  const out = new Uint8Array(4 * width * height).fill(255);
  pixels.forEach((pixel, i) => {
    out[4 * i] = pixel >> 16;
    out[4 * i + 1] = pixel >> 8;
    out[4 * i + 2] = pixel;
  });
  return out;
}

const [PREDICTOR, COLOUR, GREEN, INDEXED] = [0, 1, 2, 3];
const tiles = (length, size) => Math.ceil(length / 2 ** size);

function readTransform(bits, columns, height) {
  const kind = bits.read(2);
  if (kind === GREEN) return { kind };
  if (kind !== INDEXED) {
    const size = bits.read(3) + 2;
    const tileColumns = tiles(columns, size);
    return {
      kind,
      size,
      tileColumns,
      width: columns,
      tiles: readPixels(bits, tileColumns, tiles(height, size), false),
    };
  }
  const n = bits.read(8) + 1;
  const table = readPixels(bits, n, 1, false);
  for (let i = 1; i < n; i++) table[i] = add(table[i], table[i - 1]);
  const packed = n <= 2 ? 3 : n <= 4 ? 2 : n <= 16 ? 1 : 0;
  return { kind, table, packed, columns: tiles(columns, packed) };
}

/** The sum of two pixels, byte by byte. */
function add(a, b) {
  const high = (a & 0xff00ff00) + (b & 0xff00ff00);
  const low = (a & 0x00ff00ff) + (b & 0x00ff00ff);
  return (high & 0xff00ff00) | (low & 0x00ff00ff);
}

const ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/** A canonical code: how many symbols there are of each length, and the symbols in order. */
function newCode(lengths) {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]++;
  const used = lengths.length - counts[0];
  demand(used > 0, "a code without symbols");
  const offsets = new Uint16Array(17);
  let room = 1;
  for (let length = 1; length < 16; length++) {
    offsets[length + 1] = offsets[length] + counts[length];
    room = 2 * room - counts[length];
    demand(room >= 0 || used === 1, "a code of too many symbols");
  }
  demand(room === 0 || used === 1, "a code of too few symbols");
  const symbols = new Uint16Array(used);
  lengths.forEach((length, symbol) => {
    if (length) symbols[offsets[length]++] = symbol;
  });
  return { counts, symbols };
}

function readSymbol(bits, { counts, symbols }) {
  if (symbols.length === 1) return symbols[0];
  for (let [length, code, first, index] = [1, 0, 0, 0]; ; length++) {
    code |= bits.bit();
    if (code - first < counts[length]) return symbols[index + code - first];
    index += counts[length];
    first = (first + counts[length]) << 1;
    code <<= 1;
  }
}

function readCode(bits, size) {
  const lengths = new Uint8Array(size);
  if (bits.bit()) {
    const two = bits.bit();
    lengths[bits.read(bits.bit() ? 8 : 1)] = 1;
    if (two) lengths[bits.read(8)] = 1;
    return newCode(lengths);
  }
  const coded = new Uint8Array(19);
  const n = 4 + bits.read(4);
  for (let i = 0; i < n; i++) coded[ORDER[i]] = bits.read(3);
  const code = newCode(coded);
  let left = bits.bit() ? 2 + bits.read(2 + 2 * bits.read(3)) : size;
  demand(left <= size, "damaged");
  let last = 8;
  for (let i = 0; i < size && left--;) {
    const symbol = readSymbol(bits, code);
    if (symbol < 16) {
      lengths[i++] = symbol;
      if (symbol) last = symbol;
      continue;
    }
    const repeats = symbol === 16 ? 3 + bits.read(2) : symbol === 17 ? 3 + bits.read(3) : 11 + bits.read(7);
    demand(i + repeats <= size, "damaged");
    lengths.fill(symbol === 16 ? last : 0, i, i + repeats);
    i += repeats;
  }
  return newCode(lengths);
}

// Where short distances lead: rows up times 16, plus 8 less columns to the left.
const NEAR = [
  24, 7, 23, 25, 40, 6, 39, 41, 22, 26, 38, 42, 56, 5, 55, 57, 21, 27, 54, 58, 37, 43, 72, 4, 71, 73, 20, 28, 53, 59,
  70, 74, 36, 44, 88, 69, 75, 52, 60, 3, 87, 89, 19, 29, 86, 90, 35, 45, 68, 76, 85, 91, 51, 61, 104, 2, 103, 105, 18,
  30, 102, 106, 34, 46, 84, 92, 67, 77, 101, 107, 50, 62, 120, 1, 119, 121, 83, 93, 17, 31, 100, 108, 66, 78, 118, 122,
  33, 47, 117, 123, 49, 63, 99, 109, 82, 94, 0, 116, 124, 65, 79, 16, 32, 98, 110, 48, 115, 125, 81, 95, 64, 114, 126,
  97, 111, 80, 113, 127, 96, 112,
];

/** A length or distance: a symbol, and bits behind it. */
function readCount(bits, symbol) {
  if (symbol < 4) return symbol + 1;
  const extra = (symbol - 2) >> 1;
  return (2 + (symbol & 1)) * 2 ** extra + bits.read(extra) + 1;
}

/** The pixels of a picture, or of one that a transform needs. */
function readPixels(bits, width, height, main) {
  const cacheBits = bits.bit() ? bits.read(4) : 0;
  demand(cacheBits <= 11, "damaged");
  const cache = cacheBits ? new Int32Array(2 ** cacheBits) : null;
  let [size, groupOf, groups, groupColumns] = [0, null, 1, 1];
  if (main && bits.bit()) {
    size = bits.read(3) + 2;
    groupColumns = tiles(width, size);
    groupOf = readPixels(bits, groupColumns, tiles(height, size), false).map((pixel) => (pixel >> 8) & 0xffff);
    groups = groupOf.reduce((a, b) => Math.max(a, b)) + 1;
  }
  const sizes = [280 + (cache?.length ?? 0), 256, 256, 256, 40];
  const codes = Array.from({ length: groups }, () => sizes.map((symbols) => readCode(bits, symbols)));
  const out = new Int32Array(width * height);
  let cached = 0; // pixels that are in the cache
  const place = (pixel) => Math.imul(0x1e35a7bd, pixel) >>> (32 - cacheBits);
  for (let at = 0; at < out.length;) {
    const y = Math.floor(at / width);
    const group = codes[groupOf ? groupOf[(y >> size) * groupColumns + ((at - y * width) >> size)] : 0];
    const green = readSymbol(bits, group[0]);
    if (green < 256) {
      const red = readSymbol(bits, group[1]);
      const blue = readSymbol(bits, group[2]);
      out[at++] = (readSymbol(bits, group[3]) << 24) | (red << 16) | (green << 8) | blue;
    } else if (green < 280) {
      const length = readCount(bits, green - 256);
      const code = readCount(bits, readSymbol(bits, group[4]));
      const near = NEAR[code - 1];
      const distance = near === undefined ? code - 120 : Math.max(1, (near >> 4) * width + 8 - (near & 15));
      demand(distance <= at && at + length <= out.length, "damaged");
      for (const end = at + length; at < end; at++) out[at] = out[at - distance];
    } else {
      for (; cached < at; cached++) cache[place(out[cached])] = out[cached];
      out[at++] = cache[green - 280];
    }
  }
  return out;
}

const mean = (a, b) => (((a ^ b) & 0xfefefefe) >>> 1) + (a & b);
const bytes = [24, 16, 8, 0];
const map = (f) => (a, b, c) =>
  bytes.reduce((out, s) => out | (f((a >>> s) & 255, (b >>> s) & 255, (c >>> s) & 255) << s), 0);
const whole = map((a, b, c) => toByte(a + b - c));
const half = map((a, b) => toByte(a + Math.trunc((a - b) / 2)));

function nearer(left, top, corner) {
  let [toLeft, toTop] = [0, 0];
  for (const s of bytes) {
    const [l, t, c] = [left, top, corner].map((pixel) => (pixel >>> s) & 255);
    toLeft += Math.abs(t - c); // how far the prediction l + t - c lies from l
    toTop += Math.abs(l - c);
  }
  return toLeft < toTop ? left : top;
}

// Left, top, top right, top left.
const PREDICTORS = [
  () => 0xff000000 | 0,
  (l) => l,
  (l, t) => t,
  (l, t, r) => r,
  (l, t, r, c) => c,
  (l, t, r) => mean(mean(l, r), t),
  (l, t, r, c) => mean(l, c),
  (l, t) => mean(l, t),
  (l, t, r, c) => mean(c, t),
  (l, t, r) => mean(t, r),
  (l, t, r, c) => mean(mean(l, c), mean(t, r)),
  (l, t, r, c) => nearer(l, t, c),
  (l, t, r, c) => whole(l, t, c),
  (l, t, r, c) => half(mean(l, t), c),
  () => 0xff000000 | 0,
  () => 0xff000000 | 0,
];

const UNDO = {
  [PREDICTOR](pixels, { size, tileColumns, width, tiles: modes }) {
    for (let i = 0; i < pixels.length; i++) {
      const [x, y] = [i % width, Math.floor(i / width)];
      let predicted;
      if (!i) predicted = 0xff000000 | 0;
      else if (!y) predicted = pixels[i - 1];
      else if (!x) predicted = pixels[i - width];
      else {
        const mode = (modes[(y >> size) * tileColumns + (x >> size)] >> 8) & 15;
        const [top, corner] = [pixels[i - width], pixels[i - width - 1]];
        predicted = PREDICTORS[mode](pixels[i - 1], top, pixels[i - width + 1], corner);
      }
      pixels[i] = add(pixels[i], predicted);
    }
    return pixels;
  },

  [COLOUR](pixels, { size, tileColumns, width, tiles: factors }) {
    const part = (factor, value) => (((factor << 24) >> 24) * ((value << 24) >> 24)) >> 5;
    return pixels.map((pixel, i) => {
      const factor = factors[(Math.floor(i / width) >> size) * tileColumns + ((i % width) >> size)];
      const green = pixel >> 8;
      const red = ((pixel >> 16) + part(factor, green)) & 255;
      const blue = (pixel + part(factor >> 8, green) + part(factor >> 16, red)) & 255;
      return (pixel & 0xff00ff00) | (red << 16) | blue;
    });
  },

  [GREEN]: (pixels) => pixels.map((pixel) => add(pixel, (((pixel >> 8) & 255) << 16) | ((pixel >> 8) & 255))),

  [INDEXED](pixels, { table, packed, columns }, width, height) {
    const [each, mask] = [2 ** packed, 2 ** (8 >> packed) - 1];
    return new Int32Array(width * height).map((_, i) => {
      const x = i % width;
      const found = pixels[Math.floor(i / width) * columns + (x >> packed)] >> 8;
      return table[(found >> ((x % each) * (8 >> packed))) & mask] ?? 0;
    });
  },
};
