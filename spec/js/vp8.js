/** VP8 key frames (RFC 6386, and its sections): what stands in the bits; vp8pixels.js makes pixels of it. */

import { demand } from "./errors.js";
import { clamp } from "./values.js";
import { filterFrame, HORIZONTAL, MEAN, MOTION, newPlane, predict, toRgba, VERTICAL } from "./vp8pixels.js";
import { AC, COEFFICIENTS, DC, MODES, UPDATES } from "./vp8tables.js";

/** The decoder of booleans (section 7). */
class Bools {
  constructor(data) {
    Object.assign(this, { data, at: 0, value: 0, range: 254, bits: -8, over: false });
  }

  get(probability) {
    if (this.bits < 0) this.#load();
    const split = (this.range * probability) >> 8;
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
    const step = (table, delta, most = 127) => table[clamp(q + delta, 0, most)];
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
  const level = clamp(unlimited, 0, 63);
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
