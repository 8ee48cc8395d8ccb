/**
 * Reads .ddset files, format 1.0, as ../ddset-1.md defines them; sections in comments are its own.
 *
 * `await open(bytes)` checks everything before it gives anything; ddset.d.ts says what that is.
 * Typed arrays are little-endian on all machines of today, as the format is.
 */

import { rangeOf, rgba } from "./colours.js";
import { DDSetError, limit, LIMITS, need, unsupported } from "./errors.js";
import { readHeader } from "./header.js";
import { FORMAT } from "./manifest.js";
import { preprocess, samplesOf } from "./samples.js";
import { digest, hexDigest, sha256 } from "./sha256.js";
import { decodeTensor } from "./tensors.js";

export { DDSetError, FORMAT, LIMITS, sha256 };

export async function open(source, options = {}) {
  const settings = { check: true, ...options, limits: { ...LIMITS, ...options.limits } };
  const data = await bytesOf(source, settings);
  const { manifest, text, content, body, pieces, headerBytes } = readHeader(data, settings.limits);
  if (settings.check) {
    const same = (await hexDigest(body)).slice(0, 16) === manifest.data_digest;
    need(same, "tensor data: the digest does not match", "DDS-E030");
  }
  let done = headerBytes;
  const step = (bytes) => settings.onProgress?.((done += bytes), data.length);
  const tensors = Object.create(null);
  for (const [name, spec] of Object.entries(manifest.tensors))
    tensors[name] = await decodeTensor(name, spec, pieces[name], settings, step);
  if (settings.check) {
    const parts = [content];
    for (const [name, spec] of Object.entries(manifest.tensors))
      if (!spec.digests) parts.push(await digest(tensors[name].bytes));
    const found = await hexDigest(new Uint8Array(await new Blob(parts).arrayBuffer()));
    const same = found === manifest.content_digest;
    need(same, "the content digest does not match manifest and tensors", "DDS-E032");
  }
  const stored = Object.create(null);
  for (const name of Object.keys(pieces)) stored[name] = pieces[name].reduce((sum, piece) => sum + piece.length, 0);
  const bytes = {
    total: data.length,
    header: headerBytes,
    tensors: stored,
    labels: Object.keys(stored).reduce((sum, name) => sum + (name.startsWith("label") ? stored[name] : 0), 0),
    preprocessing: JSON.stringify(manifest.image.preprocessing).length,
  };
  return new DDSet({ manifest, text, bytes, tensors, checked: settings.check }, samplesOf(manifest, tensors));
}

/** All bytes of a source; of a page's, not one more than the cap is fetched. */
async function bytesOf(source, { limits, signal }) {
  if (source instanceof URL) return fetched(source, limits, signal);
  if (typeof Blob === "function" && source instanceof Blob) {
    need(source.size <= limits.fileBytes, `${source.size} bytes cannot be a .ddset file`, "DDS-E001");
    try {
      return new Uint8Array(await source.arrayBuffer());
    } catch (error) {
      throw new DDSetError("io", `the file cannot be read (${error.message})`);
    }
  }
  if (ArrayBuffer.isView(source)) {
    const { buffer, byteOffset, byteLength } = source;
    const view = new Uint8Array(buffer, byteOffset, byteLength);
    return buffer instanceof ArrayBuffer ? view : view.slice(); // of shared memory others may change it
  }
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  throw new DDSetError("usage", "open takes bytes, a Blob or a URL object");
}

async function fetched(url, limits, signal) {
  const chunks = [];
  let size = 0;
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > limits.fileBytes) {
        await reader.cancel();
        break;
      }
      chunks.push(value);
    }
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new DDSetError("io", `the file cannot be fetched (${error.message})`);
  }
  limit(size, limits.fileBytes, `a file of ${size} bytes or more`, "DDS-E001");
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

export class DDSet {
  #samples;
  #ranges = new Map();

  constructor(parts, samples) {
    Object.assign(this, parts);
    this.#samples = samples;
    const { kind, length, pictures } = samples;
    Object.assign(this, { kind, length, pictures });
    this.needs = kind === "none" ? this.manifest.external[0] : null;
  }

  picture(index) {
    this.#demandImages();
    check(index, this.pictures, "picture");
    return this.#samples.picture(index);
  }

  pixels(index) {
    this.#demandImages();
    check(index, this.length, "sample");
    const { channels, height, width } = this.manifest.image;
    return { channels, height, width, data: this.#samples.pixels(index) };
  }

  sample(index) {
    const { data } = this.pixels(index);
    return data instanceof Uint8Array ? preprocess(data, this.manifest.image) : data.slice();
  }

  label(index) {
    check(index, this.length, "sample");
    return this.#samples.label(index);
  }

  weight(index) {
    check(index, this.length, "sample");
    return this.#samples.weight?.(index) ?? 1 / this.length;
  }

  place(index) {
    check(index, this.length, "sample");
    return this.#samples.place(index);
  }

  range(picture) {
    if (!this.#ranges.has(picture)) this.#ranges.set(picture, rangeOf(this.picture(picture), this.manifest.image));
    return this.#ranges.get(picture);
  }

  pictureRgba(index) {
    return rgba(this.picture(index), this.manifest.image, this.range(index));
  }

  sampleRgba(index) {
    const pixels = this.pixels(index);
    return rgba(pixels, this.manifest.image, this.range(this.place(index).picture));
  }

  #demandImages() {
    if (!this.needs) return;
    const { name, revision, bytes } = this.needs;
    const model = `${JSON.stringify(name)}, revision ${JSON.stringify(revision)}, ${bytes} bytes`;
    unsupported(`the images are made by the diffusion model ${model}, which is not in the file`);
  }
}

function check(index, length, what) {
  const good = Number.isInteger(index) && index >= 0 && index < length;
  need(good, `no ${what} ${index}: the file has ${length}`, "usage");
}
