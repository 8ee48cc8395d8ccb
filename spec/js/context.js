/** The coder `context`: symbols of up to 8 bits, decoded in integers alone (section 5.1). */

import { DDSetError } from "./errors.js";
import { clamp, product } from "./values.js";

/** Decode the symbols of a piece of `shape` into `out`. */
export function decodeContext(what, code, out, shape, bits) {
  const must = (good, why) => {
    if (!good) throw new DDSetError("DDS-E024", `${what}: context code: ${why}`);
  };
  must(code.length > 0 && code[0] <= 1, "unknown model");
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
  } else decodeCounts(decoder, out, bits);
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

function decodeCounts(decoder, out, bits) {
  const zeros = new Uint16Array(2 ** bits).fill(2);
  const ones = new Uint16Array(2 ** bits).fill(2);
  for (let i = 0; i < out.length; i++) {
    let node = 1;
    for (let k = 0; k < bits; k++) {
      const [z, total] = [zeros[node], zeros[node] + ones[node]];
      const bit = decoder.target(total) >= z ? 1 : 0;
      decoder.take(bit ? z : 0, bit ? total : z);
      (bit ? ones : zeros)[node] += 5;
      if (total + 5 > 4096) {
        zeros[node] = (zeros[node] + 1) >> 1;
        ones[node] = (ones[node] + 1) >> 1;
      }
      node = 2 * node + bit;
    }
    out[i] = node - 2 ** bits;
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
