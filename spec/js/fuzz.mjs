/**
 * Feeds mutated files to the reader: node fuzz.mjs [files] [seed]
 *
 * Every file must open, or be refused with the reader's own error; nothing may take long or much
 * memory. Vectors are flipped, cut, spliced and edited, many of them with their lengths and
 * digests put right, so that the damage gets as deep as it can.
 */

import { readdirSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { DDSetError, open, sha256 } from "./ddset.js";

const SECONDS = 20; // that a file may take; a busy machine is no finding
const FOLDERS = ["../vectors/valid/", "../vectors/invalid/"];
const HEAVY = 20_000; // bytes: larger files, and those of deep networks, are taken rarely
const ODD = [
  ...[0, -1, 1, 2, 7, 255, 256, 65537, 2 ** 31, 2 ** 32, 2 ** 53, 0.5, -0.5, 1e-31, 1e300, true, false, null, "", "x"],
  ...["poster", "labels", "__proto__", "constructor", "\u0000", "🐝", "a".repeat(5000), [], {}, [1], [0, 0], [1, 2, 3]],
  ...[
    [2 ** 20, 2 ** 20],
    [[1]],
    { a: 1 },
    { kind: { a: 1 } },
    ["learned"],
    "learned",
    "fixed",
    "top",
    "index",
    "class",
  ],
];

function generator(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(next() * n);
  return { below, pick: (list) => list[below(list.length)] };
}

const lengthOf = (data) => Number(Buffer.from(data.buffer, data.byteOffset).readBigUInt64LE(0));

/** Header text and stored data put together again, lengths right. */
function built(text, body) {
  const header = Buffer.from(text.trimEnd());
  const padded = Buffer.concat([header, Buffer.alloc((8 - (header.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, body]);
}

const split = (data) => {
  const end = Math.min(data.length, 8 + lengthOf(data));
  return [data.subarray(8, end).toString(), data.subarray(end)];
};

/** The header with the digest of the stored data as it is now. */
const resealed = (text, body) =>
  text.replace(/(data_digest\\":\\")[0-9a-f]{16}/, (_, key) => key + sha256(body).slice(0, 16));

function flipped(data, { below }) {
  const out = Buffer.from(data);
  for (let n = 1 + below(8); n && out.length; n--) out[below(out.length)] ^= 1 << below(8);
  return out;
}

function spliced(data, { below, pick }) {
  const [a, b] = [below(data.length + 1), below(data.length + 1)].sort((x, y) => x - y);
  const [before, part, after] = [data.subarray(0, a), data.subarray(a, b), data.subarray(b)];
  const noise = Buffer.from(Array.from({ length: below(40) }, () => below(256)));
  return Buffer.concat(
    pick([
      [before, after],
      [before, part, part.subarray(0, 999), after],
      [before, noise, after],
    ]),
  );
}

/** One value somewhere in parsed JSON is changed, removed, added or moved. */
function edited(value, random) {
  const { below, pick } = random;
  const places = [];
  const walk = (parent) => {
    for (const key of Object.keys(parent)) {
      places.push([parent, key]);
      if (parent[key] && typeof parent[key] === "object" && places.length < 3000) walk(parent[key]);
    }
  };
  walk(value);
  for (let n = 1 + below(2); n && places.length; n--) {
    const [parent, key] = pick(places);
    const old = parent[key];
    const near = typeof old === "number" ? [old + 1, old - 1, 2 * old, -old, old / 2, old + 0.5] : [];
    const action = below(8);
    if (action === 0) Array.isArray(parent) ? parent.splice(Number(key), 1) : delete parent[key];
    else if (action === 1) parent[pick(["a", "chunk", "quantiser", "dtype", "grid", "order"])] = pick(ODD);
    else if (action === 2) parent[key] = structuredClone(pick(places)[0]);
    else parent[key] = structuredClone(pick(near.length && action < 6 ? near : ODD));
  }
  return value;
}

/** Canonical but for numbers, which JavaScript spells in its own way. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(",")}]`;
  if (!value || typeof value !== "object") return JSON.stringify(value ?? null);
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join(",")}}`;
}

function editedHeader(data, random) {
  const [text, body] = split(data);
  let header;
  try {
    header = JSON.parse(text);
    if (random.below(4) === 0) header = edited(header, random);
    else header.__metadata__.ddset = canonical(edited(JSON.parse(header.__metadata__.ddset), random));
  } catch {
    return flipped(data, random);
  }
  return built(canonical(header), body);
}

function editedText(data, random) {
  const [text, body] = split(data);
  return built(spliced(Buffer.from(text), random).toString("latin1"), body);
}

function damagedBody(data, random) {
  const [text, body] = split(data);
  if (!body.length) return flipped(data, random);
  const changed = random.below(3) ? flipped(body, random) : spliced(body, random).subarray(0, body.length);
  const whole = Buffer.concat([changed, body.subarray(changed.length)]);
  return built(resealed(text, whole), whole);
}

const truncated = (data, { below }) => data.subarray(0, below(data.length + 1));
const MUTATIONS = [
  flipped,
  truncated,
  spliced,
  editedHeader,
  editedHeader,
  editedHeader,
  editedText,
  damagedBody,
  damagedBody,
];

/** Use what was opened; a teacher's labels are slow, so few are asked for. */
function use(file, { below }) {
  for (const i of new Set([0, below(file.length), file.length - 1])) {
    if (file.manifest.labels.kind !== "teacher" || below(50) === 0) file.label(i);
    file.place(i);
    file.weight(i);
    if (file.needs) continue;
    file.sample(i);
    file.sampleRgba(i);
  }
  if (file.pictures) file.pictureRgba(below(file.pictures));
}

/** Feed `files` mutated files; {codes, slowest (milliseconds), memory (bytes)}. Throws at a finding. */
export async function run(files, seed, report = () => {}) {
  const random = generator(seed);
  const sources = FOLDERS.map((folder) => {
    const url = new URL(folder, import.meta.url);
    const files = readdirSync(url).map((name) => [name, readFileSync(new URL(name, url))]);
    return files.filter(([, data]) => data.length > 8);
  });
  const light = sources.map((folder) =>
    folder.filter(([name, data]) => data.length < HEAVY && !/resnet18|mobilenet/.test(name)),
  );
  const codes = {};
  let [slowest, memory] = [0, 0];
  for (let n = 0; n < files; n++) {
    const [name, data] = random.pick((random.below(100) ? light : sources)[random.below(4) ? 0 : 1]);
    const mutation = random.pick(MUTATIONS);
    const mutated = mutation(data, random);
    const start = performance.now();
    let code = "opened";
    try {
      use(await open(mutated, { check: random.below(2) === 0 }), random);
    } catch (error) {
      if (!(error instanceof DDSetError) || !/^(DDS-E0\d\d|unsupported)$/.test(error.code)) {
        error.message = `file ${n} of seed ${seed} (${mutation.name} ${name}): ${error.message}`;
        throw error;
      }
      code = error.code;
    }
    const taken = performance.now() - start;
    if (taken > SECONDS * 1000)
      throw new Error(`file ${n} of seed ${seed} (${mutation.name} ${name}) took ${taken} ms`);
    codes[code] = (codes[code] ?? 0) + 1;
    slowest = Math.max(slowest, taken);
    memory = Math.max(memory, process.memoryUsage().rss);
    report(n + 1, { slowest, memory, name });
  }
  return { codes, slowest, memory };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [files, seed] = [Number(process.argv[2] ?? 20_000), Number(process.argv[3] ?? 1)];
  const { codes, slowest, memory } = await run(files, seed, (n, { memory: bytes }) => {
    if (n % 1000 === 0) console.error(`${n} files, ${Math.round(bytes / 2 ** 20)} MiB`);
  });
  for (const code of Object.keys(codes).sort()) console.log(`${code.padEnd(12)} ${codes[code]}`);
  console.log(`${files} files, the slowest ${Math.round(slowest)} ms, at most ${Math.round(memory / 2 ** 20)} MiB`);
}
