/** What the JavaScript reader finds in every file of a folder, as JSON: node read_all.mjs FOLDER */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { DDSetError, open } from "../../spec/js/ddset.js";
import { decodeWebp } from "../../spec/js/webp.js";
import { checkFrame, decodeFrame } from "../../spec/js/zstd.js";

const folder = process.argv[2];

/** SHA-256 of typed arrays, one after the other. */
function digestOf(arrays) {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}

function* each(length, value) {
  for (let i = 0; i < length; i++) yield value(i);
}

/** A decoded picture that lies beside the files: width, height, RGBA under the digest of its bytes. */
function decodePicture(bytes) {
  const decoded = readFileSync(join(folder, `${digestOf([bytes])}.rgba`));
  return { width: decoded.readUInt32LE(0), height: decoded.readUInt32LE(4), data: decoded.subarray(8) };
}

async function found(data) {
  const decoder = readdirSync(folder).some((name) => name.endsWith(".rgba")) ? { decodePicture } : {};
  const file = await open(data, decoder);
  return {
    tensors: Object.fromEntries(Object.values(file.tensors).map((t) => [t.name, digestOf([t.bytes])])),
    samples: file.needs ? null : digestOf(each(file.length, (i) => file.sample(i))),
    labels: digestOf(each(file.length, (i) => file.label(i))),
  };
}

const READERS = {
  ddset: found,
  webp: (data) => digestOf([decodeWebp(data).data]),
  /** A frame behind the size that it decodes to. */
  zst(data) {
    const frame = data.subarray(4);
    const out = new Uint8Array(data.readUInt32LE(0));
    decodeFrame("frame", frame, out, checkFrame("frame", frame, out.length, { zstdWindow: 2 ** 23 }));
    return digestOf([out]);
  },
};

const all = {};
for (const name of readdirSync(folder)) {
  const read = READERS[name.split(".").at(-1)];
  if (!read) continue;
  try {
    all[name] = await read(readFileSync(join(folder, name)));
  } catch (error) {
    if (!(error instanceof DDSetError)) throw error;
    all[name] = { code: error.code, message: error.message };
  }
}
console.log(JSON.stringify(all));
