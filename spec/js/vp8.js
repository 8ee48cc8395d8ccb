/**
 * VP8 key frames (RFC 6386), and their way to RGB as libwebp goes it: chroma brought to full size
 * between its samples, weights 9, 3, 3, 1, then colours in integers. Sections are those of the RFC.
 */

import { AC, COEFFICIENTS, DC, MODES, UPDATES } from "./vp8tables.js";

const clip = (v) => (v < 0 ? 0 : v > 255 ? 255 : v);
const within = (v, low, high) => (v < low ? low : v > high ? high : v);

function demand(good, why) {
  if (!good) throw new Error(why);
}

/** The decoder of booleans (section 7). */
class Bools {
  constructor(data) {
    Object.assign(this, { data, at: 0, value: 0, range: 254, bits: -8, over: false });
  }

  get(probability) {
    if (this.bits < 0) this.#load();
    let split = (this.range * probability) >> 8;
    let range = split + 1;
    const bit = this.value >> this.bits > split ? 1 : 0;
    if (bit) {
      range = this.range - split;
      this.value -= (split + 1) << this.bits;
    }
    const shift = Math.clz32(range) - 24;
    this.range = (range << shift) - 1;
    this.bits -= shift;
    return bit;
  }

  #load() {
    if (this.at < this.data.length) this.value = (this.value << 8) | this.data[this.at++];
    else {
      this.value = this.over ? this.value : this.value << 8;
      this.bits = this.over ? -8 : this.bits;
      this.over = true;
    }
    this.bits += 8;
  }

  literal(bits) {
    let value = 0;
    for (let i = 0; i < bits; i++) value = 2 * value + this.get(128);
    return value;
  }

  /** A magnitude and a sign, or 0 where a flag says so. */
  optional(bits) {
    if (!this.get(128)) return 0;
    const value = this.literal(bits);
    return this.get(128) ? -value : value;
  }
}

/** Decode the payload of a chunk `VP8 ` to RGBA. */
export function decodeVp8(data) {
  const tag = data[0] | (data[1] << 8) | (data[2] << 16);
  const [width, height] = [6, 8].map((at) => (data[at] | (data[at + 1] << 8)) & 0x3fff);
  demand(!(tag & 1) && ((tag >> 1) & 7) <= 3 && (tag >> 4) & 1, "not a key frame that is shown");
  demand(width && height && 10 + (tag >> 5) <= data.length, "cut short");
  const bools = new Bools(data.subarray(10, 10 + (tag >> 5)));
  const frame = readHeader(bools);
  frame.tokens = partitions(data.subarray(10 + (tag >> 5)), frame.partitions);
  const [across, down] = [(width + 15) >> 4, (height + 15) >> 4];
  const planes = [newPlane(across, down, 16), newPlane(across, down, 8), newPlane(across, down, 8)];
  const context = {
    modesAbove: new Uint8Array(4 * across),
    modesLeft: new Uint8Array(4),
    // Whether blocks had coefficients: 4 of luma, 2 of each chroma, 1 of the luma means.
    above: new Uint8Array(9 * across),
    left: new Uint8Array(9),
  };
  const filters = [];
  for (let y = 0; y < down; y++) {
    const tokens = frame.tokens[y % frame.tokens.length];
    context.modesLeft.fill(0);
    context.left.fill(0);
    const row = [];
    for (let x = 0; x < across; x++) row.push(readModes(bools, frame, context, x));
    demand(!bools.over, "cut short in its modes");
    row.forEach((block, x) => {
      const coefficients = new Int16Array(25 * 16);
      const found = !block.skipped && readCoefficients(tokens, frame, context, x, block, coefficients);
      if (block.skipped) forget(context, x, block.small);
      demand(!tokens.over, "cut short in its coefficients");
      predict(planes, x, y, across, block, coefficients);
      filters.push({ ...frame.segments[block.segment].filters[block.small ? 1 : 0], inner: block.small || found });
    });
  }
  if (frame.level) filterFrame(planes, across, filters, frame.simple);
  return toRgba(planes, width, height);
}

/** The frame header (sections 9.2 to 9.11). */
function readHeader(bools) {
  bools.literal(2); // colour space and clamping change nothing here
  const segments = Array.from({ length: 4 }, () => ({ quantiser: 0, level: 0, filters: [] }));
  const frame = { segments, mapped: false, absolute: true, segmentTree: [255, 255, 255] };
  const segmented = bools.get(128);
  if (segmented) {
    frame.mapped = bools.get(128) === 1;
    if (bools.get(128)) {
      frame.absolute = bools.get(128) === 1;
      for (const segment of segments) segment.quantiser = bools.optional(7);
      for (const segment of segments) segment.level = bools.optional(6);
    }
    if (frame.mapped) frame.segmentTree = [0, 1, 2].map(() => (bools.get(128) ? bools.literal(8) : 255));
  }
  frame.simple = bools.get(128) === 1;
  frame.level = bools.literal(6);
  const sharpness = bools.literal(3);
  const deltas = { reference: 0, mode: 0 };
  const adjusted = bools.get(128);
  if (adjusted && bools.get(128)) {
    const found = Array.from({ length: 8 }, () => bools.optional(6));
    Object.assign(deltas, { reference: found[0], mode: found[4] });
  }
  frame.partitions = 2 ** bools.literal(2);
  const base = bools.literal(7);
  const [y1dc, y2dc, y2ac, uvdc, uvac] = Array.from({ length: 5 }, () => bools.optional(4));
  for (const segment of segments) {
    const added = segmented && frame.absolute ? 0 : 1;
    const q = segmented ? segment.quantiser + added * base : base;
    const step = (table, delta, most = 127) => table[within(q + delta, 0, most)];
    segment.y1 = [step(DC, y1dc), step(AC, 0)];
    segment.y2 = [2 * step(DC, y2dc), Math.max(8, Math.floor((step(AC, y2ac) * 155) / 100))];
    segment.uv = [step(DC, uvdc, 117), step(AC, uvac)];
    const level = segmented ? segment.level + added * frame.level : frame.level;
    segment.filters = [0, adjusted ? deltas.mode : 0].map((delta) =>
      filterOf(level + (adjusted ? deltas.reference : 0) + delta, sharpness),
    );
  }
  bools.get(128); // probabilities are kept for frames that do not follow
  frame.probabilities = COEFFICIENTS.map((value, i) => (bools.get(UPDATES[i]) ? bools.literal(8) : value));
  frame.skipping = bools.get(128) ? bools.literal(8) : null;
  return frame;
}

/** The limits of the loop filter for a level (section 9.6 and 15.2). */
function filterOf(unlimited, sharpness) {
  const level = within(unlimited, 0, 63);
  let interior = sharpness ? level >> (sharpness > 4 ? 2 : 1) : level;
  if (sharpness) interior = Math.min(interior, 9 - sharpness);
  interior = Math.max(1, interior);
  return { edge: level ? 2 * level + interior : 0, interior, high: level >= 40 ? 2 : level >= 15 ? 1 : 0 };
}

/** The partitions of coefficients (section 9.5). */
function partitions(data, n) {
  const start = 3 * (n - 1);
  demand(data.length > start, "cut short in its partitions");
  let at = start;
  const found = Array.from({ length: n }, (_, i) => {
    const [low, middle, high] = data.subarray(3 * i, 3 * i + 3);
    const size = i === n - 1 ? data.length - at : Math.min(data.length - at, low | (middle << 8) | (high << 16));
    at += size;
    return new Bools(data.subarray(at - size, at));
  });
  demand(found[n - 1].data.length > 0, "cut short in its partitions");
  return found;
}

/** A plane with a border: a row of 127 above and a column of 129 to the left (section 12.2). */
function newPlane(across, down, size) {
  const stride = across * size + 8;
  const data = new Uint8Array(stride * (down * size + 1)).fill(127, 0, stride);
  for (let y = 1; y <= down * size; y++) data[y * stride + 3] = 129;
  return { data, stride, size, at: (x, y) => (y * size + 1) * stride + x * size + 4 };
}

// Modes: of a 4x4 block in the order of the tables; those of larger ones are the first four.
const [MEAN, MOTION, VERTICAL, HORIZONTAL] = [0, 1, 2, 3];
const TREE = [
  [0, MEAN],
  [1, MOTION],
  [2, VERTICAL],
]; // node, and the mode where its bit is 0

function readSmallMode(bools, at) {
  const bit = (node) => bools.get(MODES[at + node]);
  for (const [node, mode] of TREE) if (!bit(node)) return mode;
  if (!bit(3)) return !bit(4) ? HORIZONTAL : bit(5) ? 5 : 4;
  if (!bit(6)) return 6;
  return !bit(7) ? 7 : bit(8) ? 9 : 8;
}

/** The modes of a macroblock (sections 9.3, 11). */
function readModes(bools, frame, { modesAbove, modesLeft }, x) {
  const tree = frame.segmentTree;
  const segment = frame.mapped ? (bools.get(tree[0]) ? 2 + bools.get(tree[2]) : bools.get(tree[1])) : 0;
  const skipped = frame.skipping === null ? false : bools.get(frame.skipping) === 1;
  const small = !bools.get(145);
  const modes = new Uint8Array(16);
  if (small) {
    for (let i = 0; i < 16; i++) {
      const [column, line] = [4 * x + (i & 3), i >> 2];
      modes[i] = readSmallMode(bools, 9 * (10 * modesAbove[column] + modesLeft[line]));
      modesAbove[column] = modesLeft[line] = modes[i];
    }
  } else {
    modes[0] = bools.get(156) ? (bools.get(128) ? MOTION : HORIZONTAL) : bools.get(163) ? VERTICAL : MEAN;
    modesAbove.fill(modes[0], 4 * x, 4 * x + 4);
    modesLeft.fill(modes[0]);
  }
  const chroma = !bools.get(142) ? MEAN : !bools.get(114) ? VERTICAL : bools.get(183) ? MOTION : HORIZONTAL;
  return { segment, skipped, small, modes, chroma };
}

function forget({ above, left }, x, small) {
  above.fill(0, 9 * x, 9 * x + (small ? 8 : 9));
  left.fill(0, 0, small ? 8 : 9);
}

const ZIGZAG = [0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15];
const BANDS = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0];
const LARGE = [
  [173, 148, 140],
  [176, 155, 140, 135],
  [180, 157, 141, 134, 130],
  [254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129],
];

/** The coefficients of a macroblock (section 13), dequantised; returns whether there are any. */
function readCoefficients(bools, frame, { above, left }, x, { segment, small }, out) {
  const steps = frame.segments[segment];
  let any = false;
  const read = (type, up, side, first, [dc, ac], block) => {
    const seen = above[9 * x + up] + left[side];
    const end = readBlock(bools, frame.probabilities, 264 * type, seen, first, dc, ac, out.subarray(16 * block));
    above[9 * x + up] = left[side] = end > first ? 1 : 0;
    any ||= end > first;
  };
  if (!small) {
    read(1, 8, 8, 0, steps.y2, 24);
    untransformMeans(out);
    for (let i = 0; i < 16; i++) any ||= out[16 * i] !== 0;
  }
  for (let i = 0; i < 16; i++) read(small ? 3 : 0, i & 3, i >> 2, small ? 0 : 1, steps.y1, i);
  for (let i = 0; i < 8; i++) {
    const plane = 4 + 2 * (i >> 2);
    read(2, plane + (i & 1), plane + ((i >> 1) & 1), 0, steps.uv, 16 + i);
  }
  return any;
}

/** Read one block from coefficient `n` on; returns the place behind the last that is not 0. */
function readBlock(bools, probabilities, type, seen, n, dc, ac, out) {
  let p = type + 33 * BANDS[n] + 11 * seen;
  const bit = (node) => bools.get(probabilities[p + node]);
  while (n < 16) {
    if (!bit(0)) return n;
    while (!bit(1)) {
      p = type + 33 * BANDS[++n];
      if (n === 16) return 16;
    }
    const one = !bit(2);
    const value = one ? 1 : readLarge(bools, bit);
    p = type + 33 * BANDS[n + 1] + (one ? 11 : 22);
    out[ZIGZAG[n]] = (bools.get(128) ? -value : value) * (n ? ac : dc);
    n++;
  }
  return 16;
}

function readLarge(bools, bit) {
  if (!bit(3)) return bit(4) ? 3 + bit(5) : 2;
  if (!bit(6)) {
    if (!bit(7)) return 5 + bools.get(159);
    const high = bools.get(165);
    return 7 + 2 * high + bools.get(145);
  }
  const high = bit(8);
  const kind = 2 * high + bit(9 + high);
  return 3 + (8 << kind) + LARGE[kind].reduce((value, p) => 2 * value + bools.get(p), 0);
}

/** Section 14.3: the means of the 16 luma blocks from block 24. */
function untransformMeans(out) {
  const t = new Int32Array(16);
  const pass = (from, a, step, round) => {
    const [v0, v1, v2, v3] = [0, 1, 2, 3].map((i) => from[a + i * step]);
    const [sum, difference] = [v0 + round + v3, v0 + round - v3];
    return [sum + v1 + v2, difference + v1 - v2, sum - v1 - v2, difference - v1 + v2];
  };
  const means = out.subarray(384);
  for (let i = 0; i < 4; i++) pass(means, i, 4, 0).forEach((v, j) => (t[4 * j + i] = v));
  for (let i = 0; i < 4; i++) pass(t, 4 * i, 1, 3).forEach((v, j) => (out[16 * (4 * i + j)] = v >> 3));
}

const times1 = (v) => v + ((v * 20091) >> 16);
const times2 = (v) => (v * 35468) >> 16;

const half = new Int32Array(16); // of an inverse transform

/** Section 14.4: add the inverse transform of a block to the prediction at `at`. */
function addBlock({ data, stride }, at, c) {
  for (let i = 0; i < 4; i++) {
    const a = c[i] + c[8 + i];
    const b = c[i] - c[8 + i];
    const d = times2(c[4 + i]) - times1(c[12 + i]);
    const e = times1(c[4 + i]) + times2(c[12 + i]);
    half[4 * i] = a + e;
    half[4 * i + 1] = b + d;
    half[4 * i + 2] = b - d;
    half[4 * i + 3] = a - e;
  }
  for (let i = 0; i < 4; i++, at += stride) {
    const a = half[i] + 4 + half[8 + i];
    const b = half[i] + 4 - half[8 + i];
    const d = times2(half[4 + i]) - times1(half[12 + i]);
    const e = times1(half[4 + i]) + times2(half[12 + i]);
    data[at] = clip(data[at] + ((a + e) >> 3));
    data[at + 1] = clip(data[at + 1] + ((b + d) >> 3));
    data[at + 2] = clip(data[at + 2] + ((b - d) >> 3));
    data[at + 3] = clip(data[at + 3] + ((a - e) >> 3));
  }
}

function predict([luma, ...chroma], x, y, across, { small, modes, chroma: mode }, coefficients) {
  const { data, stride } = luma;
  const start = luma.at(x, y);
  if (small) {
    // The pixels to the right of the row above; lower blocks of the last column take the same.
    const right = data.slice(start - stride + 16, start - stride + 20);
    if (y > 0 && x === across - 1) right.fill(data[start - stride + 15]);
    for (let i = 0; i < 16; i++) {
      const at = start + 4 * (i >> 2) * stride + 4 * (i & 3);
      predictSmall(luma, at, modes[i], (i & 3) === 3 ? right : data.slice(at - stride + 4, at - stride + 8));
      addBlock(luma, at, coefficients.subarray(16 * i));
    }
  } else {
    predictWhole(luma, x, y, modes[0]);
    for (let i = 0; i < 16; i++)
      addBlock(luma, start + 4 * (i >> 2) * stride + 4 * (i & 3), coefficients.subarray(16 * i));
  }
  chroma.forEach((plane, k) => {
    predictWhole(plane, x, y, mode);
    for (let i = 0; i < 4; i++) {
      const at = plane.at(x, y) + 4 * (i >> 1) * plane.stride + 4 * (i & 1);
      addBlock(plane, at, coefficients.subarray(16 * (16 + 4 * k + i)));
    }
  });
}

/** Sections 12.2 and 12.3: a block of 16x16 or 8x8. */
function predictWhole({ data, stride, size, at }, x, y, mode) {
  const start = at(x, y);
  let mean = 128;
  if (mode === MEAN && (x || y)) {
    let sum = 0;
    if (y) for (let i = 0; i < size; i++) sum += data[start - stride + i];
    if (x) for (let i = 0; i < size; i++) sum += data[start - 1 + i * stride];
    const n = size * (x && y ? 2 : 1);
    mean = Math.floor((sum + n / 2) / n);
  }
  const corner = data[start - stride - 1];
  for (let j = 0, row = start; j < size; j++, row += stride)
    for (let i = 0; i < size; i++) {
      const [above, left] = [data[start - stride + i], data[row - 1]];
      data[row + i] = [mean, clip(left + above - corner), above, left][mode];
    }
}

// Of each directional mode the pixels: n is the smoothed edge pixel n, 16 + n the mean of n and n + 1.
const DIRECTIONS = {
  2: [6, 7, 8, 9, 6, 7, 8, 9, 6, 7, 8, 9, 6, 7, 8, 9],
  3: [4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1],
  4: [5, 6, 7, 8, 4, 5, 6, 7, 3, 4, 5, 6, 2, 3, 4, 5],
  5: [21, 22, 23, 24, 5, 6, 7, 8, 4, 21, 22, 23, 3, 5, 6, 7],
  6: [7, 8, 9, 10, 8, 9, 10, 11, 9, 10, 11, 12, 10, 11, 12, 13],
  7: [22, 23, 24, 25, 7, 8, 9, 10, 23, 24, 25, 11, 8, 9, 10, 12],
  8: [20, 5, 6, 7, 19, 4, 20, 5, 18, 3, 19, 4, 17, 2, 18, 3],
  9: [19, 3, 18, 2, 18, 2, 17, 1, 17, 1, 16, 16, 16, 16, 16, 16],
};

/** Section 12.3: a block of 4x4. The edge runs from the lowest pixel on the left, doubled, to the last above. */
function predictSmall({ data, stride }, at, mode, right) {
  const left = [3, 2, 1, 0].map((i) => data[at - 1 + i * stride]);
  const above = data.subarray(at - stride, at - stride + 4);
  const e = [left[0], ...left, data[at - stride - 1], ...above, ...right, right[3]];
  const mean = (left.reduce((a, b) => a + b) + above.reduce((a, b) => a + b) + 4) >> 3;
  for (let i = 0; i < 16; i++) {
    const n = DIRECTIONS[mode]?.[i];
    const place = at + (i >> 2) * stride + (i & 3);
    if (mode === MEAN) data[place] = mean;
    else if (mode === MOTION) data[place] = clip(left[3 - (i >> 2)] + above[i & 3] - e[5]);
    else data[place] = n < 16 ? (e[n - 1] + 2 * e[n] + e[n + 1] + 2) >> 2 : (e[n - 16] + e[n - 15] + 1) >> 1;
  }
}

/** Section 15: the loop filter, macroblock after macroblock. */
function filterFrame(planes, across, filters, simple) {
  filters.forEach(({ edge, interior, high, inner }, i) => {
    if (!edge) return;
    const [x, y] = [i % across, Math.floor(i / across)];
    for (const { data, stride, size, at } of simple ? planes.slice(0, 1) : planes) {
      const line = (start, step, along, limit, strong) => {
        for (let k = 0; k < size; k++, start += along) {
          if (simple) filterSimple(data, start, step, 2 * limit + 1);
          else filterNormal(data, start, step, 2 * limit + 1, interior, high, strong);
        }
      };
      const start = at(x, y);
      if (x) line(start, 1, stride, edge + 4, true);
      for (let k = 4; inner && k < size; k += 4) line(start + k, 1, stride, edge, false);
      if (y) line(start, stride, 1, edge + 4, true);
      for (let k = 4; inner && k < size; k += 4) line(start + k * stride, stride, 1, edge, false);
    }
  });
}

function filterSimple(data, q, step, limit) {
  const [p1, p0, q0, q1] = [data[q - 2 * step], data[q - step], data[q], data[q + step]];
  if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) <= limit) adjustTwo(data, q, step, p1, p0, q0, q1);
}

function adjustTwo(data, q, step, p1, p0, q0, q1) {
  const a = 3 * (q0 - p0) + within(p1 - q1, -128, 127);
  data[q - step] = clip(p0 + within((a + 3) >> 3, -16, 15));
  data[q] = clip(q0 - within((a + 4) >> 3, -16, 15));
}

function filterNormal(data, q, step, limit, interior, high, strong) {
  const [p2, p1, p0] = [data[q - 3 * step], data[q - 2 * step], data[q - step]];
  const [q0, q1, q2] = [data[q], data[q + step], data[q + 2 * step]];
  if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) > limit) return;
  if (Math.abs(data[q - 4 * step] - p2) > interior || Math.abs(data[q + 3 * step] - q2) > interior) return;
  if (Math.abs(p2 - p1) > interior || Math.abs(q2 - q1) > interior) return;
  if (Math.abs(p1 - p0) > interior || Math.abs(q1 - q0) > interior) return;
  if (Math.abs(p1 - p0) > high || Math.abs(q1 - q0) > high) return adjustTwo(data, q, step, p1, p0, q0, q1);
  if (strong) {
    const a = within(3 * (q0 - p0) + within(p1 - q1, -128, 127), -128, 127);
    const [a1, a2, a3] = [27, 18, 9].map((weight) => (weight * a + 63) >> 7);
    data[q - 3 * step] = clip(p2 + a3);
    data[q - 2 * step] = clip(p1 + a2);
    data[q - step] = clip(p0 + a1);
    data[q] = clip(q0 - a1);
    data[q + step] = clip(q1 - a2);
    data[q + 2 * step] = clip(q2 - a3);
    return;
  }
  const a = 3 * (q0 - p0);
  const [a1, a2] = [within((a + 4) >> 3, -16, 15), within((a + 3) >> 3, -16, 15)];
  const a3 = (a1 + 1) >> 1;
  data[q - 2 * step] = clip(p1 + a3);
  data[q - step] = clip(p0 + a2);
  data[q] = clip(q0 - a1);
  data[q + step] = clip(q1 - a3);
}

function toRgba([luma, u, v], width, height) {
  const out = new Uint8Array(4 * width * height).fill(255);
  const [across, down] = [(width + 1) >> 1, (height + 1) >> 1];
  const [start, from] = [luma.at(0, 0), u.at(0, 0)];
  let to = 0;
  for (let y = 0; y < height; y++) {
    const near = from + (y >> 1) * u.stride;
    const far = from + within((y >> 1) + (y & 1 ? 1 : -1), 0, down - 1) * u.stride;
    for (let x = 0; x < width; x++, to += 4) {
      const [a, b] = [x >> 1, within((x >> 1) + (x & 1 ? 1 : -1), 0, across - 1)];
      const light = (luma.data[start + y * luma.stride + x] * 19077) >> 8;
      const blue = between(u.data[near + a], u.data[near + b], u.data[far + a], u.data[far + b]);
      const red = between(v.data[near + a], v.data[near + b], v.data[far + a], v.data[far + b]);
      out[to] = clip((light + ((red * 26149) >> 8) - 14234) >> 6);
      out[to + 1] = clip((light - ((blue * 6419) >> 8) - ((red * 13320) >> 8) + 8708) >> 6);
      out[to + 2] = clip((light + ((blue * 33050) >> 8) - 17685) >> 6);
    }
  }
  return out;
}

/** Chroma between four samples: the nearest, that beside it, that above or below it, and the last one. */
function between(near, beside, over, last) {
  return (((near + beside + over + last + 8 + 2 * (beside + over)) >> 3) + near) >> 1;
}
