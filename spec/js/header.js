/** The container (section 1): where every piece lies, and the manifest, without decoding anything. */

import { limit, need, shown } from "./errors.js";
import { parseJson } from "./json.js";
import { asLater, checkFields, checkShape, checkVersion, rowsOf, SIZES, TAGS } from "./manifest.js";
import { checkManifest } from "./rules.js";
import { ceil, isInteger, isObject, plain, product, same, sameSet } from "./values.js";

/** Everything that is known without decoding: manifest, places of the pieces, sizes. */
export function readHeader(data, limits) {
  const sized = data.length >= 8 && data.length <= limits.fileBytes;
  need(sized, `${data.length} bytes cannot be a .ddset file`, "DDS-E001");
  const view = new DataView(data.buffer, data.byteOffset);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  const fits = length >= 2 && length <= data.length - 8;
  need(fits, "not a .ddset file, or one cut short in its header", "DDS-E002");
  limit(length, limits.headerBytes, `header of ${length} bytes`, "DDS-E002");
  need(data[8] === 0x7b, "header: does not begin with '{'", "DDS-E003");
  let end = 8 + length;
  while (data[end - 1] === 0x20) end--;
  const header = parseJson(decodeText(data.subarray(8, end)), limits.nesting);
  const { __metadata__: metadata, ...listed } = header.value;
  const single = isObject(metadata) && sameSet(Object.keys(metadata), ["ddset"]);
  need(single && typeof metadata.ddset === "string", "metadata: must hold the one key 'ddset', a string", "DDS-E005");
  limit(Object.keys(listed).length, limits.tensors, `${Object.keys(listed).length} tensors`);
  const entries = new Map();
  for (const [name, value] of Object.entries(listed)) entries.set(name, checkEntry(name, value, limits));
  checkLayout([...entries.values()], data.length - 8 - length);
  const text = metadata.ddset;
  const { value: m, canonical, members } = parseJson(text, limits.nesting);
  const minor = checkVersion(m);
  const short = asLater(minor, () => checkFields(m, limits));
  const padded = length === 8 * ceil(end - 8, 8);
  need(header.canonical && canonical && short && padded, "header: not in canonical form", "DDS-E004");
  checkSizes(m.tensors, limits);
  asLater(minor, () => {
    checkStored(entries, m.tensors);
    checkManifest(m, limits);
  });
  const covered = members.filter(([key]) => key !== "content_digest" && key !== "data_digest");
  const content = new TextEncoder().encode(`{${covered.map(([, member]) => member).join(",")}}`);
  const body = data.subarray(8 + length);
  const manifest = plain(m);
  const pieces = Object.create(null);
  for (const [name, t] of Object.entries(manifest.tensors)) {
    pieces[name] = storedNames(name, t).map((stored) => {
      const { begin, end: after } = entries.get(stored);
      return body.subarray(begin, after);
    });
  }
  return { manifest, text, content, body, pieces, headerBytes: 8 + length };
}

function decodeText(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return need(false, "header: not strict JSON: not UTF-8", "DDS-E003");
  }
}

function checkEntry(name, value, limits) {
  const good = /^[a-z][a-z0-9_]{0,63}(\.(0|[1-9][0-9]{0,8}))?$/.test(name);
  need(good, `tensor name ${shown(name)} is not allowed`, "DDS-E008");
  const must = (condition, why) => need(condition, `tensor '${name}': ${why}`, "DDS-E006");
  const fields = isObject(value) && sameSet(Object.keys(value), ["dtype", "shape", "data_offsets"]);
  must(fields, "needs dtype, shape and data_offsets, and nothing else");
  const { dtype, shape, data_offsets: offsets } = value;
  const stored = typeof dtype === "string" ? Object.keys(TAGS).find((key) => TAGS[key] === dtype) : null;
  must(stored, "unknown dtype");
  checkShape(name, shape, limits);
  const positions = Array.isArray(offsets) && offsets.length === 2 && offsets.every((o) => isInteger(o, 0, 2 ** 53));
  must(positions, "data_offsets must be two positions");
  must(offsets[1] - offsets[0] === SIZES[stored] * product(shape), "its bytes do not fit its shape");
  return { dtype, shape, begin: offsets[0], end: offsets[1] };
}

function checkLayout(entries, size) {
  let position = 0;
  for (const entry of entries.sort((a, b) => a.begin - b.begin)) {
    need(entry.begin === position, "tensor data: an overlap or a hole", "DDS-E007");
    position = entry.end;
  }
  const what = position > size ? "cut short" : "followed by other bytes";
  need(position === size, `tensor data: ${what}`, "DDS-E007");
}

function checkSizes(tensors, limits) {
  let total = 0;
  for (const [name, t] of Object.entries(tensors)) {
    const size = SIZES[t.dtype] * product(t.shape);
    limit(size, limits.decodedBytes, `tensor '${name}': decodes to ${size} bytes`);
    limit(t.digests?.length ?? 0, limits.tensors, `tensor '${name}': ${t.digests?.length} chunks`);
    total += size;
  }
  limit(total, limits.decodedBytes, `the tensors decode to ${total} bytes`);
}

const storedNames = (name, t) => (t.digests ? t.digests.map((_, i) => `${name}.${i}`) : [name]);

function checkStored(entries, tensors) {
  const expected = new Set();
  for (const [name, t] of Object.entries(tensors)) {
    storedNames(name, t).forEach((stored, i) => {
      expected.add(stored);
      const entry = entries.get(stored);
      need(entry, `tensor ${shown(stored)}: stored and listed tensors differ`, "DDS-E013");
      const tag = t.quantiser ? "U8" : TAGS[t.dtype];
      const fits =
        t.coder === "raw"
          ? entry.dtype === tag && same(entry.shape, [rowsOf(t, i), ...t.shape.slice(1)])
          : entry.dtype === "U8" && entry.shape.length === 1;
      need(fits, `tensor '${stored}': stored with another dtype or shape`, "DDS-E013");
    });
  }
  for (const name of entries.keys())
    need(expected.has(name), `tensor ${shown(name)}: stored and listed tensors differ`, "DDS-E013");
}
