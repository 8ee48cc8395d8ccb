/** The vectors of the specification, and what they cannot show: node --test */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";

import { rangeOf } from "./colours.js";
import { DDSetError, LIMITS, open, sha256 } from "./ddset.js";
import { run } from "./fuzz.mjs";
import { parseJson } from "./json.js";

const vectors = new URL("../vectors/", import.meta.url);
const VALID = JSON.parse(readFileSync(new URL("valid.json", vectors)));
const INVALID = JSON.parse(readFileSync(new URL("invalid.json", vectors)));
const load = (name) => readFileSync(new URL(`${name}.ddset`, vectors));
const FIRST = 4; // patches and labels that are digested

/** SHA-256 of typed arrays, one after the other. */
function digestOf(arrays) {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}

const refuses = (source, code, options) =>
  assert.rejects(open(source, options), (error) => {
    assert.ok(error instanceof DDSetError, error.stack);
    assert.equal(error.code, code, error.message);
    return true;
  });

test("every vector is listed and there", () => {
  for (const [kind, listed] of [
    ["valid", VALID],
    ["invalid", INVALID],
  ]) {
    const files = readdirSync(new URL(kind, vectors)).map((name) => name.replace(".ddset", ""));
    assert.deepEqual(files.sort(), Object.keys(listed).sort());
  }
});

for (const [name, expected] of Object.entries(VALID))
  test(`valid: ${name}`, async () => {
    const data = load(`valid/${name}`);
    const file = await open(data);
    const { content_digest: content, data_digest: _, ...manifest } = JSON.parse(JSON.stringify(file.manifest));
    assert.deepEqual(manifest, expected.manifest);
    assert.equal(content, expected.content_digest);
    assert.equal(file.checked, true);
    const tensors = Object.values(file.tensors);
    assert.deepEqual(Object.fromEntries(tensors.map((t) => [t.name, sha256(t.bytes)])), expected.tensors);
    assert.equal(file.length, expected.samples);
    const first = Array.from({ length: Math.min(FIRST, file.length) }, (_, i) => i);
    assert.equal(digestOf(first.map((i) => file.label(i))), expected.first_labels);
    const stored = Object.values(file.bytes.tensors).reduce((a, b) => a + b, 0);
    assert.equal(file.bytes.header + stored, data.length);
    if (expected.first_patches !== null) {
      assert.equal(digestOf(first.map((i) => file.sample(i))), expected.first_patches);
      const { width, height } = file.sampleRgba(file.length - 1);
      assert.deepEqual([height, width], [file.manifest.image.height, file.manifest.image.width]);
      return;
    }
    assert.equal(file.kind, "none");
    assert.equal(file.needs.name, expected.manifest.external[0].name);
    const needed = {
      code: "unsupported",
      message: /"tiny", revision "sha256 .*", 1234 bytes, which is not in the file/,
    };
    for (const call of ["sample", "pixels", "sampleRgba", "picture"]) assert.throws(() => file[call](0), needed);
  });

for (const [name, expected] of Object.entries(INVALID))
  test(`invalid: ${name}`, () => refuses(load(`invalid/${name}`), expected.code ?? "unsupported"));

test("any source of bytes opens", async () => {
  const data = new Uint8Array(load("valid/podd-colour"));
  const shared = new Uint8Array(new SharedArrayBuffer(data.length));
  shared.set(data);
  const shifted = new Uint8Array(data.length + 3);
  shifted.set(data, 3);
  for (const source of [data, data.buffer, new DataView(data.buffer), new Blob([data]), shared, shifted.subarray(3)]) {
    const file = await open(source);
    assert.equal(file.length, 9);
  }
  const opening = open(shared);
  shared.fill(0); // others may do so at any time
  assert.equal((await opening).length, 9);
  await refuses("podd-colour.ddset", "usage");
  await refuses(new URL("data:,x"), "DDS-E001");
});

test("a URL is fetched, and no more of it than the cap", { timeout: 60_000 }, async (t) => {
  const data = load("valid/podd-colour");
  let closed;
  const server = createServer((request, response) => {
    if (request.url === "/missing") response.statusCode = 404;
    if (request.url !== "/endless") return response.end(data);
    closed = once(response, "close");
    const more = () => response.write(data) && setImmediate(more);
    response.on("drain", more);
    more();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => (server.close(), server.closeAllConnections()));
  const at = (path) => new URL(`http://127.0.0.1:${server.address().port}/${path}`);
  assert.equal((await open(at("file"))).length, 9);
  await refuses(at("missing"), "io");
  await refuses(at("endless"), "DDS-E001", { limits: { fileBytes: 100_000 } });
  await closed;
  const reason = new Error("stopped");
  await assert.rejects(open(at("file"), { signal: AbortSignal.abort(reason) }), reason);
});

test("a caller's caps hold", async () => {
  const poster = load("valid/podd-context-8-bits");
  await refuses(poster, "DDS-E001", { limits: { fileBytes: 100 } });
  await refuses(poster, "DDS-E002", { limits: { headerBytes: 100 } });
  await refuses(poster, "DDS-E003", { limits: { nesting: 2 } });
  for (const cap of ["tensors", "dimensions", "decodedBytes", "classes", "patches", "contextSymbols"])
    await refuses(poster, "DDS-E040", { limits: { [cap]: 1 } });
  await refuses(load("valid/podd-zstd-8-bits"), "DDS-E021", { limits: { zstdWindow: 1 } });
  const expanded = load("valid/podd-expanded"); // from 6 x 10 to 9 x 15 pixels
  await open(expanded, { limits: { decodedBytes: 540 } });
  await refuses(expanded, "DDS-E040", { limits: { decodedBytes: 539 } });
  const transform = load("valid/podd-transform-colour"); // to 3 x 20 x 27 pixels
  await open(transform, { limits: { decodedBytes: 6480 } });
  await refuses(transform, "DDS-E040", { limits: { decodedBytes: 6479 } });
  await refuses(load("valid/lic-teacher-convnet3"), "DDS-E040", { limits: { teacherProducts: 1 } });
  // A later version may break a rule, but no cap.
  await refuses(load("valid/later-minor-version"), "DDS-E040", { limits: { patches: 1 } });
  assert.throws(() => (LIMITS.patches = 2), TypeError);
});

test("damage is found unless nobody wants to know", async () => {
  const data = load("invalid/last-bit-flipped");
  await refuses(data, "DDS-E030");
  const file = await open(data, { check: false });
  assert.equal(file.checked, false);
});

test("progress ends at the size of the file", async () => {
  const data = load("valid/podd-chunks");
  const seen = [];
  await open(data, { onProgress: (done, total) => seen.push([done, total]) });
  assert.deepEqual(seen.at(-1), [data.length, data.length]);
  assert.ok(seen.every(([done], i) => i === 0 || done >= seen[i - 1][0]));
});

test("what does not exist is a usage error", async () => {
  const file = await open(load("valid/podd-colour"));
  for (const index of [-1, 9, 0.5, NaN, "0", undefined])
    for (const call of ["sample", "label", "place", "weight", "pixels", "sampleRgba"])
      assert.throws(() => file[call](index), { code: "usage" });
  assert.throws(() => file.picture(1), { code: "usage" });
});

test("weights are probabilities", async () => {
  for (const name of ["podd-colour", "ppodd-stages", "images-colour", "lic-top", "d3m-logits"]) {
    const file = await open(load(`valid/${name}`));
    let sum = 0;
    for (let i = 0; i < file.length; i++) sum += file.weight(i);
    assert.ok(Math.abs(sum - 1) < 1e-9, name);
    const { weights } = file.manifest.codec.params;
    for (let i = 0; weights && i < file.length; i++) {
      const ratio = weights[file.place(i).picture] / weights[0];
      assert.ok(Math.abs(file.weight(i) / file.weight(0) - ratio) < 1e-9, name);
    }
  }
});

test("bytes are told by part", async () => {
  for (const [name, parts] of [
    ["podd-zstd-8-bits", ["labels"]],
    ["podd-fixed-labels", []],
    ["ppodd-stages", ["labels_1", "labels_2", "labels_3"]],
    ["lic-top", ["labels", "label_classes"]],
    ["lic-teacher-convnet3", ["label_weights", "label_affine"]],
    ["lic-teacher-live", ["label_weights", "label_affine"]],
  ]) {
    const { bytes } = await open(load(`valid/${name}`));
    const sum = parts.reduce((all, part) => all + bytes.tensors[part], 0);
    assert.equal(bytes.labels, sum, name);
  }
  const { bytes, text } = await open(load("valid/podd-zstd-8-bits"));
  const [, spelt] = /"preprocessing":(\{.*?\})/.exec(text);
  assert.equal(bytes.preprocessing, spelt.length + '"kind":"standardise",'.length); // left out there
});

test("a sample is the caller's own", async () => {
  for (const name of ["podd-colour", "images-float32", "images-colour", "lic-top"]) {
    const file = await open(load(`valid/${name}`));
    const before = digestOf([file.sample(0)]);
    file.sample(0).fill(7);
    assert.equal(digestOf([file.sample(0)]), before, name);
  }
});

test("keys are in order by code points", () => {
  assert.equal(parseJson('{"\uffee":1,"🐝":2}', 2).canonical, true);
  assert.equal(parseJson('{"🐝":2,"\uffee":1}', 2).canonical, false);
});

test("a patch is its place in the poster, and looks like it", async () => {
  for (const name of ["podd-colour", "podd-expanded", "podd-per-class-origins", "ppodd-stages"]) {
    const file = await open(load(`valid/${name}`));
    for (let i = 0; i < file.length; i++) {
      const { picture, x, y, width, height } = file.place(i);
      const poster = file.picture(picture);
      const { data } = file.pixels(i);
      const [whole, shown] = [file.pictureRgba(picture), file.sampleRgba(i)];
      for (let j = 0; j < data.length; j++) {
        const [c, row, column] = [Math.floor(j / (height * width)), Math.floor(j / width) % height, j % width];
        assert.equal(data[j], poster.data[(c * poster.height + y + row) * poster.width + x + column]);
        const [to, from] = [4 * (row * width + column), 4 * ((y + row) * poster.width + x + column)];
        assert.equal(shown.data[to + c], whole.data[from + c]);
      }
    }
  }
});

test("bytes are shown as they are, bounded floats from black to white, others around their mean", async () => {
  const bytes = await open(load("valid/images-colour"));
  const { data } = bytes.pixels(0);
  const shown = bytes.sampleRgba(0).data;
  assert.deepEqual([...shown.subarray(0, 4)], [data[0], data[24], data[48], 255]);
  assert.deepEqual(bytes.range(0), { low: 0, high: 1, bounded: true });

  const poster = await open(load("valid/podd-raw-float32"));
  const { mean, std } = poster.manifest.image.preprocessing;
  const units = Array.from(poster.picture(0).data, (v) => v * std[0] + mean[0]);
  const m = units.reduce((a, b) => a + b) / units.length;
  const s = Math.sqrt(units.reduce((a, b) => a + (b - m) ** 2, 0) / units.length);
  const { low, high, bounded } = poster.range(0);
  assert.equal(bounded, false);
  assert.ok(Math.abs(low - (m - 2.5 * s)) < 1e-9 && Math.abs(high - (m + 2.5 * s)) < 1e-9);
  units.forEach((u, i) => {
    const byte = Math.round(255 * Math.min(1, Math.max(0, (u - low) / (high - low))));
    assert.equal(poster.pictureRgba(0).data[4 * i], byte);
  });
});

test("floats count as pixels up to 1/128 outside of black and white, whitened ones never", async () => {
  const shown = (kind, ...values) => {
    const picture = { height: 1, width: values.length, data: Float32Array.from(values) };
    return rangeOf(picture, { channels: 1, preprocessing: { kind } });
  };
  const slack = 1 / 128;
  assert.deepEqual(shown("none", -slack, 1 + slack), { low: 0, high: 1, bounded: true });
  assert.equal(shown("none", -2 * slack, 1).bounded, false);
  assert.equal(shown("none", 0, 1 + 2 * slack).bounded, false);
  assert.deepEqual(shown("conv_whiten", 0, 1), { low: -0.75, high: 1.75, bounded: false });
  assert.deepEqual(shown("conv_whiten", 2, 2), { low: 2 - 2.5e-6, high: 2 + 2.5e-6, bounded: false });
  assert.equal((await open(load("valid/images-float32"))).range(0).bounded, true);
});

test("SHA-256 is that of FIPS 180-4", () => {
  for (const size of [0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1000, 70_000]) {
    const data = Uint8Array.from({ length: size + 1 }, (_, i) => i * 7 + (i >> 8)).subarray(1);
    assert.equal(sha256(data), createHash("sha256").update(data).digest("hex"));
  }
});

test("mutated files are refused with the reader's own error", async () => {
  const { codes } = await run(500, 2026);
  assert.ok(Object.keys(codes).length > 15);
});
