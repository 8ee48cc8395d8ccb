/** SHA-256 (FIPS 180-4): by the platform where it has it, else, and for small data, computed here. */

const [ROUNDS, START] = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => ((x % 1) * 2 ** 32) | 0;
  return [primes.map((p) => fraction(Math.cbrt(p))), primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)))];
})();

const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** Lower-case hexadecimal digits. */
export const sha256 = (data) => hex(digestHere(data));

/** The 32 bytes; `crypto.subtle` is missing on pages that came without TLS. */
export async function digest(data) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle || data.length < 4096) return digestHere(data);
  return new Uint8Array(await subtle.digest("SHA-256", data));
}

export const hexDigest = async (data) => hex(await digest(data));

function digestHere(data) {
  const state = Int32Array.from(START);
  const words = new Int32Array(64);
  const whole = data.length & ~63;
  const last = new Uint8Array(data.length - whole < 56 ? 64 : 128);
  last.set(data.subarray(whole));
  last[data.length - whole] = 0x80;
  const end = new DataView(last.buffer);
  end.setUint32(last.length - 8, Math.floor(data.length / 2 ** 29));
  end.setUint32(last.length - 4, data.length * 8);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at < whole; at += 64) addBlock(state, words, view, at);
  for (let at = 0; at < last.length; at += 64) addBlock(state, words, end, at);
  state.forEach((word, i) => end.setInt32(4 * i, word));
  return last.slice(0, 32);
}

function addBlock(state, words, view, at) {
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15];
    const y = words[i - 2];
    const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (words[i - 16] + low + words[i - 7] + high) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const turnE = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const turnA = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const one = (h + turnE + ((e & f) ^ (~e & g)) + ROUNDS[i] + words[i]) | 0;
    const two = (turnA + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] += word));
}
