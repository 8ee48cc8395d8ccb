// What is slow: reading, checking and decoding a file, and making pixels of it. Runs in a worker.

import { rgba } from "../../../spec/js/colours.js";
import { open } from "../../../spec/js/ddset.js";
import { pictureOf } from "./colour.js";
import { array, npz, texts } from "./npz.js";

const LIMITS = { fileBytes: 2 ** 30, decodedBytes: 2 ** 30 }; // what a browser has room for
const SIDE = 4096; // pixels; of larger pictures every second, third, .. is shown
const STAGES = 8; // posters kept as RGBA
const PART = 1 << 20; // values of a part of an array
const SLICE = 30; // milliseconds of work between two looks at other questions

let file; // a DDSet
const posters = new Map(); // RGBA by stage

/** Answer one question; `progress(done, total)` tells how far a long one is. */
export function answer(question, given, progress) {
  return ANSWERS[question](given, progress);
}

/** Answer the questions of a page, in a worker. */
export function serve() {
  self.onmessage = async ({ data: { id, question, given } }) => {
    let last = 0;
    const progress = (done, total) => {
      if (performance.now() - last < 50) return;
      last = performance.now();
      self.postMessage({ id, progress: done / total });
    };
    try {
      const value = await answer(question, given, progress);
      self.postMessage({ id, value });
    } catch (problem) {
      self.postMessage({ id, problem: { code: problem.code ?? "internal", message: String(problem.message) } });
    }
  };
  self.postMessage({ ready: true });
}

const ANSWERS = {
  /** A file: a Blob, `{ base64 }` or `{ url }`; what the page shows first. */
  async open({ blob, base64, url }, progress) {
    posters.clear();
    const source = blob ?? (base64 === undefined ? new URL(url) : bytesOf(atob(base64)));
    file = await open(source, { limits: LIMITS, onProgress: progress });
    const { manifest, bytes, checked, length, kind, pictures, needs } = file;
    return { manifest, bytes, checked, length, kind, pictures, needs, ...places(), ...thumbnails() };
  },

  /** A stored picture as RGBA, thinned out where it is very large. */
  picture(index) {
    const { how, ...whole } = file.kind === "poster" ? poster(index) : pictureOf(file, index);
    return { ...reduced(whole), how };
  },

  /** A sample as RGBA, where it lies, and its label. */
  sample(index) {
    const place = file.place(index);
    const label = file.label(index);
    if (place === null) return { label };
    return { picture: pictureOfSample(index, place), place, label };
  },

  /** Stored pictures as RGBA with the label of each as a whole. */
  thumbnails: (indices) =>
    indices.map((index) => ({
      ...reduced(pictureOf(file, index), 256),
      best: strongest(file.label(whole(index)), 2),
    })),

  /** The strongest class of each stored picture; null where a network in the file would have to say it. */
  async classes(_, progress) {
    if (file.manifest.labels.kind === "teacher") return null;
    const found = new Int32Array(file.pictures);
    await inSlices(found.length, progress, (index) => (found[index] = strongest(file.label(whole(index)), 1)[0].owner));
    return found;
  },

  /** All samples as a Blob of an npz, by the names of `ddcodec decode --to npz`; null where it would be too large. */
  async npz(_, progress) {
    const { manifest, length } = file;
    const { channels, height, width } = manifest.image;
    const members = [];
    const steps = file.kind === "none" ? length : 2 * length;
    const all = async (name, shape, valuesOf, done) => {
      const parts = [];
      const size = shape.reduce((a, b) => a * b);
      const rows = Math.max(1, Math.floor(PART / size));
      await inSlices(
        length,
        (step) => progress(done + step, steps),
        (index) => {
          if (index % rows === 0) parts.push(new Float32Array(Math.min(rows, length - index) * size));
          parts.at(-1).set(valuesOf(index), (index % rows) * size);
        },
      );
      members.push(array(name, [length, ...shape], parts));
    };
    const values = length * (channels * height * width + manifest.classes.length);
    if (4 * values > 2 ** 31) return null;
    if (file.kind !== "none") await all("images", [channels, height, width], (index) => file.sample(index), 0);
    await all("labels", [manifest.classes.length], (index) => file.label(index), steps - length);
    if (manifest.codec.name === "ppodd") {
      const weights = Float32Array.from({ length }, (_, index) => file.weight(index) * length);
      members.push(array("weights", [length], [weights]));
    }
    members.push(texts("class_names", manifest.classes), { ...texts("manifest", [file.text]), shape: [] });
    return npz(members);
  },
};

function bytesOf(letters) {
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** Where the patches of a poster begin: x of each column, y of each row. */
function places() {
  if (file.kind !== "poster") return {};
  const [columns, rows] = file.manifest.patches.grid;
  return {
    columns: Array.from({ length: columns }, (_, column) => file.place(column * rows).x),
    rows: Array.from({ length: rows }, (_, row) => file.place(row).y),
  };
}

/** Of a model's images the file holds 4 x 4 grey values a class. */
function thumbnails() {
  if (file.kind !== "none") return {};
  const { data } = file.tensors.fingerprints;
  const one = (start) =>
    rgba({ channels: 1, height: 4, width: 4, data: data.subarray(start, start + 16) }, null, { low: 0, high: 1 });
  return { fingerprints: Array.from({ length: Math.min(1000, data.length / 16) }, (_, index) => one(16 * index)) };
}

/** A patch as its poster shows it, a region of a mosaic, an image. */
function pictureOfSample(index, place) {
  if (file.kind === "poster") return crop(poster(place.picture), place);
  return file.kind === "mosaics" ? file.sampleRgba(index) : pictureOf(file, index);
}

function poster(stage) {
  if (!posters.has(stage)) {
    if (posters.size === STAGES) posters.clear();
    posters.set(stage, pictureOf(file, stage));
  }
  return posters.get(stage);
}

/** The sample that is a stored picture as a whole: of a mosaic the last. */
const whole = (picture) => (picture + 1) * (file.length / file.pictures) - 1;

function crop(from, { x, y, width, height }) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let row = 0; row < height; row++) {
    const start = 4 * ((y + row) * from.width + x);
    data.set(from.data.subarray(start, start + 4 * width), 4 * row * width);
  }
  return { width, height, data };
}

function reduced(picture, side = SIDE) {
  const step = Math.ceil(Math.max(picture.width, picture.height) / side);
  if (step === 1) return picture;
  const width = Math.ceil(picture.width / step);
  const height = Math.ceil(picture.height / step);
  const from = new Uint32Array(picture.data.buffer);
  const to = new Uint32Array(width * height);
  for (let i = 0; i < to.length; i++) to[i] = from[Math.floor(i / width) * step * picture.width + (i % width) * step];
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}

/** The `count` largest shares of a label, with their classes. */
function strongest(label, count) {
  const best = [];
  label.forEach((share, owner) => {
    if (best.length === count && share <= best[count - 1].share) return;
    const place = best.findIndex((other) => other.share < share);
    best.splice(place < 0 ? best.length : place, 0, { owner, share });
    best.length = Math.min(best.length, count);
  });
  return best;
}

async function inSlices(count, progress, step) {
  let since = performance.now();
  for (let index = 0; index < count; index++) {
    step(index);
    if (performance.now() - since < SLICE) continue;
    progress(index, count);
    await new Promise((next) => setTimeout(next));
    since = performance.now();
  }
}
