/** Zstandard frames (RFC 8878): what they claim is compared before fzstd sees them. */

import { decompress } from "fzstd";

import { limit, need } from "./errors.js";

/** Compare what a frame claims and walk its blocks; gives the places of the last one and of its end. */
export function checkFrame(what, frame, size, limits) {
  const must = (good, why) => need(good, `${what}: zstd frame: ${why}`, "DDS-E021");
  const little = (at, bytes) => {
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256 + frame[at + i];
    return value;
  };
  must(frame.length >= 9 && little(0, 4) === 0xfd2fb528 && !(frame[4] & 8), "damaged");
  const single = (frame[4] >> 5) & 1;
  let at = 6 - single;
  const dictionary = [0, 1, 2, 4][frame[4] & 3];
  must(little(at, dictionary) === 0, "needs a dictionary");
  at += dictionary;
  const sized = frame[4] >> 6 ? 2 ** (frame[4] >> 6) : single;
  const declared = little(at, sized) + (sized === 2 ? 256 : 0);
  must(sized && declared === size, `declares ${sized ? declared : "no"} bytes where ${size} belong`);
  const window = single ? declared : 2 ** (10 + (frame[5] >> 3)) * (1 + (frame[5] & 7) / 8);
  limit(window, limits.zstdWindow, `${what}: zstd window of ${window} bytes`, "DDS-E021");
  at += sized;
  let room = 0;
  let last;
  for (let more = true; more; ) {
    const header = little(at, 3);
    const kind = (header >> 1) & 3;
    must(at + 3 <= frame.length && kind !== 3, "damaged");
    last = at;
    more = !(header & 1);
    at += 3 + (kind === 1 ? 1 : header >> 3);
    room += kind === 2 ? 2 ** 17 : header >> 3;
    must(header >> 3 <= Math.min(window, 2 ** 17), "damaged");
  }
  must(at + 4 * ((frame[4] >> 2) & 1) === frame.length, "damaged, or followed by other data");
  must(room >= size, "has another length than it declares");
  return { last, end: at };
}

/**
 * Decode a checked frame into `target`. fzstd does not say how much it wrote: an empty block behind
 * the last one makes it name the place where it stands.
 */
export function decodeFrame(what, frame, target, { last, end }) {
  const longer = new Uint8Array(end + 3);
  longer.set(frame.subarray(0, end));
  longer[4] &= ~4; // no checksum follows
  longer[last] &= ~1;
  longer[end] = 1;
  const out = new Output(target.buffer, target.byteOffset, target.length);
  try {
    decompress(longer, out);
  } catch {
    out.written = -1;
  }
  need(out.written === target.length, `${what}: zstd frame: damaged`, "DDS-E021");
}

class Output extends Uint8Array {
  written = 0;

  static get [Symbol.species]() {
    return Uint8Array;
  }

  /** fzstd compares its output with 1; without this, all of it becomes text to be compared. */
  [Symbol.toPrimitive]() {
    return 0;
  }

  set(source, at) {
    this.written = at;
    super.set(source, at);
  }
}
