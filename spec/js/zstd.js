/**
 * Zstandard frames (RFC 8878), strictly: what a frame claims is compared before anything is
 * decoded, and no block takes more time or memory than its 128 KiB are worth.
 */

import { DDSetError, limit, need } from "./errors.js";
import { little } from "./values.js";

const BLOCK = 2 ** 17; // bytes that a block decodes to, at most

/** Compare what a frame claims, and walk its blocks; gives the place of the first one. */
export function checkFrame(what, frame, size, limits) {
  const must = (good, why) => need(good, `${what}: zstd frame: ${why}`, "DDS-E021");
  must(frame.length >= 9 && little(frame, 0, 4) === 0xfd2fb528 && !(frame[4] & 8), "damaged");
  const single = (frame[4] >> 5) & 1;
  let at = 6 - single;
  const dictionary = [0, 1, 2, 4][frame[4] & 3];
  must(little(frame, at, dictionary) === 0, "needs a dictionary");
  at += dictionary;
  const sized = frame[4] >> 6 ? 2 ** (frame[4] >> 6) : single;
  const declared = little(frame, at, sized) + (sized === 2 ? 256 : 0);
  must(sized && declared === size, `declares ${sized ? declared : "no"} bytes where ${size} belong`);
  const window = single ? declared : 2 ** (10 + (frame[5] >> 3)) * (1 + (frame[5] & 7) / 8);
  limit(window, limits.zstdWindow, `${what}: zstd window of ${window} bytes`, "DDS-E021");
  at += sized;
  const first = at;
  let room = 0;
  for (let more = true; more;) {
    const header = little(frame, at, 3);
    const [kind, length] = [(header >> 1) & 3, header >> 3];
    must(at + 3 <= frame.length && kind !== 3 && length <= Math.min(window, BLOCK), "damaged");
    more = !(header & 1);
    at += 3 + (kind === 1 ? 1 : length);
    room += kind === 2 ? BLOCK : length;
  }
  must(at + 4 * ((frame[4] >> 2) & 1) === frame.length, "damaged, or followed by other data");
  must(room >= size, "has another length than it declares");
  return first;
}

/** Decode a checked frame, its first block at `at`, into all of `target`. Its checksum is not compared. */
export function decodeFrame(what, frame, target, at) {
  const state = { target, done: 0, repeated: [1, 4, 8], tables: [null, null, null], huffman: null };
  try {
    for (let more = true; more;) {
      const header = little(frame, at, 3);
      const [kind, length] = [(header >> 1) & 3, header >> 3];
      more = !(header & 1);
      at += 3;
      demand(kind === 2 || state.done + length <= target.length);
      if (kind === 0) target.set(frame.subarray(at, at + length), state.done);
      else if (kind === 1) target.fill(frame[at], state.done, state.done + length);
      else decodeBlock(frame.subarray(at, at + length), state);
      if (kind !== 2) state.done += length;
      at += kind === 1 ? 1 : length;
    }
    demand(state.done === target.length);
  } catch (error) {
    if (error !== DAMAGED) throw error;
    throw new DDSetError("DDS-E021", `${what}: zstd frame: damaged`);
  }
}

const DAMAGED = new Error("damaged");

function demand(good) {
  if (!good) throw DAMAGED;
}

/** Bits from the end of a section to its begin; the highest 1 of the last byte marks where they end. */
class Backward {
  constructor(data) {
    demand(data.length && data.at(-1));
    this.data = data;
    this.left = 8 * data.length - Math.clz32(data.at(-1)) + 23;
  }

  /** The next bits, the first of them highest. */
  read(n) {
    if (n > 16) return this.read(n - 16) * 65536 + this.read(16);
    const at = this.left - n;
    if (at < 0) throw DAMAGED;
    this.left = at;
    const byte = at >> 3;
    const three = this.data[byte] | (this.data[byte + 1] << 8) | (this.data[byte + 2] << 16);
    return (three >> (at & 7)) & ((1 << n) - 1);
  }
}

function decodeBlock(data, state) {
  const { literals, at } = readLiterals(data, state);
  const end = Math.min(state.target.length, state.done + BLOCK);
  let place = at;
  let n = data[place++];
  if (n > 127) n = n < 255 ? ((n - 128) << 8) + data[place++] : 0x7f00 + data[place++] + (data[place++] << 8);
  demand(n >= 0);
  let taken = 0;
  if (n === 0) demand(place === data.length);
  else taken = runSequences(data, place, n, literals, end, state);
  const rest = literals.subarray(taken);
  demand(state.done + rest.length <= end);
  state.target.set(rest, state.done);
  state.done += rest.length;
}

/** The literals of a block, and the place behind them (section 3.1.1.3.1). */
function readLiterals(data, state) {
  const [kind, format] = [data[0] & 3, (data[0] >> 2) & 3];
  if (kind < 2) {
    const head = [1, 2, 1, 3][format];
    const size = little(data, 0, head) >> (head === 1 ? 3 : 4);
    const stored = kind === 0 ? size : 1;
    demand(size <= BLOCK && head + stored <= data.length);
    const part = data.subarray(head, head + stored);
    return { literals: kind === 0 ? part : new Uint8Array(size).fill(part[0]), at: head + stored };
  }
  const bits = [10, 10, 14, 18][format];
  const head = [3, 3, 4, 5][format];
  const sizes = little(data, 0, head);
  const size = Math.floor(sizes / 16) % 2 ** bits;
  const at = head + (Math.floor(sizes / 16 / 2 ** bits) % 2 ** bits);
  demand(size <= BLOCK && at <= data.length);
  let coded = data.subarray(head, at);
  if (kind === 2) {
    const { table, used } = readHuffman(coded);
    state.huffman = table;
    coded = coded.subarray(used);
  }
  demand(state.huffman);
  const literals = new Uint8Array(size);
  if (format === 0) decodeStream(coded, literals, state.huffman);
  else {
    const quarter = (size + 3) >> 2;
    demand(coded.length >= 10 && 3 * quarter <= size);
    const ends = [0, 2, 4].map((i) => little(coded, i, 2)).reduce((all, n) => [...all, all.at(-1) + n], [6]);
    demand(ends[3] <= coded.length);
    [...ends, coded.length].slice(1).forEach((end, i) => {
      const out = literals.subarray(i * quarter, i === 3 ? size : (i + 1) * quarter);
      decodeStream(coded.subarray(ends[i], end), out, state.huffman);
    });
  }
  return { literals, at };
}

/** A Huffman tree (section 4.2.1): for each of 2^most indices a symbol and how many bits it has. */
function readHuffman(data) {
  const head = data[0];
  let [weights, used] = [[], 1 + head];
  demand(data.length > 0);
  if (head < 128) {
    demand(used <= data.length);
    weights = readWeights(data.subarray(1, used));
  } else {
    used = 1 + ((head - 126) >> 1);
    demand(used <= data.length);
    for (let i = 0; i < head - 127; i++) weights.push((data[1 + (i >> 1)] >> (i & 1 ? 0 : 4)) & 15);
  }
  const sum = weights.reduce((all, w) => all + (w ? 2 ** (w - 1) : 0), 0);
  const most = 32 - Math.clz32(sum);
  const left = 2 ** most - sum;
  demand(sum > 0 && most <= 11 && (left & (left - 1)) === 0);
  weights.push(32 - Math.clz32(left));
  const [symbols, lengths] = [new Uint8Array(2 ** most), new Uint8Array(2 ** most)];
  let at = 0;
  for (let weight = 1; weight <= most; weight++)
    weights.forEach((w, symbol) => {
      if (w !== weight) return;
      symbols.fill(symbol, at, at + 2 ** (w - 1));
      lengths.fill(most + 1 - w, at, at + 2 ** (w - 1));
      at += 2 ** (w - 1);
    });
  return { table: { most, symbols, lengths }, used };
}

/** Weights in a code of two states that take turns (section 4.2.1.2). */
function readWeights(data) {
  const { table, used } = readTable(data, 6, 255);
  const bits = new Backward(data.subarray(used));
  const states = [bits.read(table.accuracy), bits.read(table.accuracy)];
  const weights = [];
  for (let i = 0; ; i ^= 1) {
    weights.push(table.symbols[states[i]]);
    demand(weights.length < 255);
    const n = table.bits[states[i]];
    if (bits.left < n) return [...weights, table.symbols[states[i ^ 1]]];
    states[i] = table.bases[states[i]] + bits.read(n);
  }
}

function decodeStream(data, out, { most, symbols, lengths }) {
  const bits = new Backward(data);
  const mask = 2 ** most - 1;
  let { left } = bits;
  for (let i = 0; i < out.length; i++) {
    let index;
    if (left >= most) {
      const [at, byte] = [left - most, (left - most) >> 3];
      index = ((data[byte] | (data[byte + 1] << 8) | (data[byte + 2] << 16)) >> (at & 7)) & mask;
    } else index = ((data[0] | (data[1] << 8)) << (most - left)) & mask; // zeros follow the last
    out[i] = symbols[index];
    left -= lengths[index];
    demand(left >= 0);
  }
  demand(left === 0);
}

/** A table of finite state entropy (section 4.1.1) at the begin of `data`, and the bytes it takes. */
function readTable(data, mostAccuracy, mostSymbol) {
  let at = 0;
  const peek = (n) => (little(data, at >> 3, 3) >> (at & 7)) & (2 ** n - 1);
  const accuracy = peek(4) + 5;
  demand(accuracy <= mostAccuracy);
  at = 4;
  const shares = [];
  for (let left = 2 ** accuracy; left > 0;) {
    const bits = 32 - Math.clz32(left + 1);
    const short = 2 ** bits - 2 - left; // values below need a bit less
    let value = peek(bits);
    if ((value & (2 ** (bits - 1) - 1)) < short) {
      value &= 2 ** (bits - 1) - 1;
      at += bits - 1;
    } else {
      if (value >= 2 ** (bits - 1)) value -= short;
      at += bits;
    }
    shares.push(value - 1);
    left -= Math.abs(value - 1);
    for (let zeros = value === 1 ? 3 : 0; zeros === 3; at += 2) {
      zeros = peek(2);
      for (let i = 0; i < zeros; i++) shares.push(0);
      demand(shares.length <= 256);
    }
    demand(left >= 0 && shares.length <= mostSymbol + 1);
  }
  const used = (at + 7) >> 3;
  demand(used <= data.length);
  return { table: newTable(accuracy, shares), used };
}

function newTable(accuracy, shares) {
  const size = 2 ** accuracy;
  const [symbols, bits, bases] = [new Uint8Array(size), new Uint8Array(size), new Uint16Array(size)];
  let last = size - 1;
  shares.forEach((share, symbol) => {
    if (share < 0) symbols[last--] = symbol;
  });
  let at = 0;
  shares.forEach((share, symbol) => {
    for (let i = 0; i < share; i++) {
      symbols[at] = symbol;
      do at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
      while (at > last);
    }
  });
  const next = shares.map(Math.abs);
  symbols.forEach((symbol, i) => {
    const state = next[symbol]++;
    bits[i] = accuracy - 31 + Math.clz32(state);
    bases[i] = (state << bits[i]) - size;
  });
  return { accuracy, symbols, bits, bases };
}

const ones = (n) => Array(n).fill(1);
const upTo = (n, from = 0) => Array.from({ length: n }, (_, i) => i + from);
const twos = (from, n) => Array.from({ length: n }, (_, i) => 2 ** (from + i));

// Lengths of literals, offsets, lengths of matches: the usual table, and the value and bits of a code.
const KINDS = [
  {
    usual: newTable(6, [4, 3, ...Array(11).fill(2), 1, 1, 1, ...Array(9).fill(2), 3, 2, ...ones(5), -1, -1, -1, -1]),
    accuracy: 9,
    values: [...upTo(16), 16, 18, 20, 22, 24, 28, 32, 40, 48, ...twos(6, 11)],
    bits: [...Array(16).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, ...upTo(11, 6)],
  },
  {
    usual: newTable(5, [...ones(6), 2, 2, 2, ...ones(15), -1, -1, -1, -1, -1]),
    accuracy: 8,
    values: twos(0, 32),
    bits: upTo(32),
  },
  {
    usual: newTable(6, [1, 4, 3, ...Array(6).fill(2), ...ones(37), ...Array(7).fill(-1)]),
    accuracy: 9,
    values: [...upTo(32, 3), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, ...twos(7, 10).map((n) => n + 3)],
    bits: [...Array(32).fill(0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, ...upTo(10, 7)],
  },
];

/** Run the sequences of a block (section 3.1.1.3.2); returns how many literals they took. */
function runSequences(data, at, n, literals, end, state) {
  const modes = data[at++];
  demand((modes & 3) === 0);
  KINDS.forEach(({ usual, accuracy, values }, i) => {
    const mode = (modes >> (6 - 2 * i)) & 3;
    if (mode === 0) state.tables[i] = usual;
    else if (mode === 1) {
      demand(data[at] < values.length);
      state.tables[i] = { accuracy: 0, symbols: [data[at++]], bits: [0], bases: [0] };
    } else if (mode === 2) {
      const { table, used } = readTable(data.subarray(at), accuracy, values.length - 1);
      state.tables[i] = table;
      at += used;
    }
    demand(state.tables[i]);
  });
  const bits = new Backward(data.subarray(at));
  const [runs, offsets, matches] = state.tables;
  let [run, offset, match] = state.tables.map(({ accuracy }) => bits.read(accuracy));
  const value = (kind, code) => KINDS[kind].values[code] + bits.read(KINDS[kind].bits[code]);
  const { target } = state;
  let { done } = state;
  let taken = 0;
  for (let i = 0; i < n; i++) {
    const found = value(1, offsets.symbols[offset]);
    const length = value(2, matches.symbols[match]);
    const copied = value(0, runs.symbols[run]);
    const distance = distanceOf(found, copied, state.repeated);
    demand(taken + copied <= literals.length && done + copied + length <= end);
    for (const last = done + copied; done < last;) target[done++] = literals[taken++];
    demand(distance > 0 && distance <= done);
    for (const last = done + length; done < last; done++) target[done] = target[done - distance];
    if (i === n - 1) break;
    run = runs.bases[run] + bits.read(runs.bits[run]);
    match = matches.bases[match] + bits.read(matches.bits[match]);
    offset = offsets.bases[offset] + bits.read(offsets.bits[offset]);
  }
  demand(bits.left === 0);
  state.done = done;
  return taken;
}

/** The distance that an offset value stands for; the last three are remembered (section 3.1.1.5). */
function distanceOf(value, copied, repeated) {
  if (value > 3) {
    repeated.unshift(value - 3);
    repeated.pop();
    return value - 3;
  }
  const which = value - (copied ? 1 : 0);
  const distance = which === 3 ? repeated[0] - 1 : repeated[which];
  if (which) {
    repeated.splice(Math.min(which, 2), 1);
    repeated.unshift(distance);
  }
  return distance;
}
