/** The coder `context`: symbols of up to 8 bits, decoded in integers alone (section 5.1). */

import { DDSetError } from "./errors.js";
import { clamp, product } from "./values.js";

/** Decode the symbols of a piece of `shape` into `out`. */
export function decodeContext(what, code, out, shape, bits) {
  const must = (good, why) => {
    if (!good) throw new DDSetError("DDS-E024", `${what}: context code: ${why}`);
  };
  const blocks = shape.length === 5 && shape[3] === 8 && shape[4] === 8;
  must(code.length > 0 && code[0] <= (blocks ? 2 : 1), "unknown model");
  const predicted = code[0] === 1;
  must(!predicted || shape.length >= 3, "a prediction of what is no picture");
  const head = predicted ? 1 + 8 * shape.at(-3) : 1;
  must(code.length >= head, "parameters are cut short");
  must(code.length === head || code.at(-1) !== 0, "ends with a zero byte");
  const decoder = new RangeDecoder(code.subarray(head));
  if (predicted) {
    const [channels, height, width] = shape.slice(-3);
    const models = [];
    const tables = new Map(); // by spread
    for (let plane = 0; plane < product(shape.slice(0, -2)); plane++) {
      const channel = plane % channels;
      models[channel] ??= modelOf(code.subarray(1 + 8 * channel, 9 + 8 * channel), bits, tables, must);
      decodePlane(decoder, out, plane * height * width, height, width, models[channel]);
    }
  } else if (code[0]) decodeBlocks(decoder, out, shape, bits, must);
  else decodeCounts(decoder, out, bits);
  must(decoder.used >= code.length - head, "followed by other data");
}

class RangeDecoder {
  constructor(code) {
    this.code = code;
    this.value = [0, 1, 2, 3].reduce((value, i) => value * 256 + (code[i] ?? 0), 0);
    this.range = 2 ** 32 - 1;
    this.share = 1;
    this.used = 4; // bytes, those behind the end included
  }

  /** A number below `total`, in the interval of the next symbol. */
  target(total) {
    this.share = Math.floor(this.range / total);
    return Math.min(Math.floor(this.value / this.share), total - 1);
  }

  /** Go on behind the symbol from `low` to `high` of the total just asked. */
  take(low, high) {
    this.value -= low * this.share;
    this.range = (high - low) * this.share;
    while (this.range < 2 ** 24) {
      const byte = this.used < this.code.length ? this.code[this.used] : 0;
      this.value = ((this.value << 8) | byte) >>> 0;
      this.range *= 256;
      this.used++;
    }
  }
}

const decisions = (length) => Array.from({ length }, () => [2, 2]);

/** The outcome of a decision that was 0 and 1 so often before; counts it. */
function decide(decoder, seen) {
  const [zeros, total] = [seen[0], seen[0] + seen[1]];
  const bit = decoder.target(total) >= zeros ? 1 : 0;
  decoder.take(bit ? zeros : 0, bit ? total : zeros);
  seen[bit] += 5;
  if (total + 5 > 4096) seen.forEach((count, i) => (seen[i] = (count + 1) >> 1));
  return bit;
}

function decodeCounts(decoder, out, bits) {
  const seen = decisions(2 ** bits);
  for (let i = 0; i < out.length; i++) {
    let node = 1;
    for (let k = 0; k < bits; k++) node = 2 * node + decide(decoder, seen[node]);
    out[i] = node - 2 ** bits;
  }
}

/** Coefficients of 8 x 8 blocks: zero or not, sign, size, in the order of u + v, then u. */
function decodeBlocks(decoder, out, [channels, down, across], bits, must) {
  const [zero, larger, centre] = [decisions(10), decisions(36), 2 ** (bits - 1)];
  let left = 8 * out.length; // of all magnitudes
  for (let block = 0; block < down * across; block++)
    for (let speed = 0; speed < 15; speed++)
      for (let u = Math.max(0, speed - 7); u <= speed && u < 8; u++)
        for (let c = 0; c < channels; c++) {
          let symbol = centre;
          if (decide(decoder, zero[Math.min(speed, 9)])) {
            const negative = decoder.target(2);
            decoder.take(negative, negative + 1);
            const most = centre - 1 + negative;
            let size = 1;
            while (size <= most && decide(decoder, larger[6 * Math.min(speed, 5) + Math.min(size, 6) - 1])) size++;
            left -= size;
            must(size <= most && left >= 0, "a coefficient is out of range");
            symbol += negative ? -size : size;
          }
          out[64 * (c * down * across + block) + 7 * u + speed] = symbol;
        }
}

const RECIPROCALS = [67108864, 61538217, 56430137, 51746066, 47450737, 43512005, 39900230, 36588253];

let normal = null;

/** The normal distribution in 257 steps, of 2^16: exact sums of binomial coefficients. */
function normalTable() {
  normal = new Int32Array(257);
  let [below, ways] = [0n, 1n];
  for (let j = 0n; j <= 640n; j++) {
    if (j >= 384n) normal[Number(j) - 384] = Number(((2n * below + ways) << 16n) >> 1025n);
    below += ways;
    ways = (ways * (1024n - j)) / (j + 1n);
  }
  return normal;
}

/** The model of a channel; its table is the interpolated normal distribution at every E, from -2^(bits + 7). */
function modelOf([mean, spread, ...weights], bits, tables, must) {
  must(mean >> bits === 0 && spread <= 95, "a parameter is out of range");
  if (!tables.has(spread)) {
    const steps = normal ?? normalTable();
    const table = new Int32Array(2 ** (bits + 8));
    const factor = RECIPROCALS[spread % 8] >> (spread >> 3);
    for (let i = 0; i < table.length; i++) {
      const t = clamp(Math.floor(((i - table.length / 2) * factor) / 65536) + 32768, 0, 65535);
      table[i] = (steps[t >> 8] * (256 - (t & 255)) + steps[(t >> 8) + 1] * (t & 255)) >> 8;
    }
    tables.set(spread, table);
  }
  return { mean, bits, table: tables.get(spread), weights: Int8Array.from(weights) };
}

function decodePlane(decoder, out, start, height, width, { mean, bits, table, weights }) {
  const [a, b, c, d, e, f] = weights;
  const [symbols, most] = [2 ** bits, 64 * 2 ** bits];
  const total = 65536 + symbols;
  const x = Array.from({ length: 3 }, () => new Int32Array(width + 3)); // two zeros on the left, one right
  for (let i = 0; i < height; i++) {
    const [row, above, above2] = [x[i % 3], x[(i + 2) % 3], x[(i + 1) % 3]];
    for (let j = 0, at = 2; j < width; j++, at++) {
      const near = a * row[at - 1] + b * above[at] + c * above[at - 1] + d * above[at + 1];
      const guess = clamp(near + e * row[at - 2] + f * above2[at], -most, most);
      const first = table.length / 2 - 64 * mean - 32 - guess; // where the lower edge of symbol 0 lies
      const target = decoder.target(total);
      let [low, high] = [0, symbols];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (middle + table[first + 64 * middle] <= target) low = middle;
        else high = middle;
      }
      const begin = low ? low + table[first + 64 * low] : 0;
      decoder.take(begin, high < symbols ? high + table[first + 64 * high] : total);
      row[at] = low - mean;
      out[start + i * width + j] = low;
    }
  }
}
