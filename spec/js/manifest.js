/** The manifest: versions, defaults, and the types of its fields (sections 3 to 5). */

import { DDSetError, limit, need, shown, unsupported } from "./errors.js";
import { Real } from "./json.js";
import { ceil, has, inside, isEntries, isHex, isInteger, isObject, product, sameSet } from "./values.js";

export const FORMAT = Object.freeze({ major: 1, minor: 0 });

const CODECS = ["podd", "ppodd", "images", "lic", "d3m"];
const OPTIONAL = ["order", "patches", "measured", "external", "license", "ignorable"];
const REQUIRED = ["format", "codec", "classes", "image", "tensors", "labels", "recipe", "source", "provenance"];
const FIELDS = [...REQUIRED, "content_digest", "data_digest", ...OPTIONAL];
const LISTS = ["classes", "external"];
/** What an entry of a list in `measured` leaves out is as in the entry before it. */
const INHERITED = ["lr", "norm", "nets", "optimizer", "steps", "tool"];
const STRINGS = ["license", "content_digest", "data_digest"];

const isScalar = (v) => ["string", "number"].includes(typeof v) || v instanceof Real;
const alike = (a, b) => a === b || (a instanceof Real && b instanceof Real && Number(a) === Number(b));

/** Fill in what a manifest leaves out, in place; return whether it left out all that it must. */
function fillDefaults(m) {
  let short = true;
  const at = (place, fields) => {
    if (!isObject(place)) return;
    for (const [name, value] of Object.entries(fields)) {
      if (!has(place, name)) place[name] = value;
      else if (JSON.stringify(place[name]) === JSON.stringify(value) && !holdsReal(place[name])) short = false;
    }
  };
  const holdsReal = (v) => v instanceof Real || (Array.isArray(v) && v.some(holdsReal));
  const integer = (v) => (Number.isInteger(v) ? v : 0);
  const tensors = isObject(m.tensors) ? Object.entries(m.tensors).filter(([, t]) => isObject(t)) : [];
  const { image, labels, patches, recipe } = m;
  at(m.codec, { version: 1, params: Object.create(null) });
  at(isObject(image) && image.preprocessing, { kind: "standardise" });
  at(labels, { kind: "learned" });
  at(m.source, { split: "train" });
  at(m.provenance, { seed: 0 });
  at(patches, { origins: "linspace-half-even" });
  for (const [, tensor] of tensors) {
    at(tensor, { dtype: "float32" });
    at(tensor.quantiser, { bits: 8 });
  }
  at(recipe, { augment: "none", loss: "soft_cross_entropy" });
  at(isObject(recipe) && recipe.network, { name: "convnet", norm: "instance" });
  at(isObject(recipe) && recipe.optimizer, { name: "adam" });
  if (isObject(image)) {
    at(image, { colour: { 1: "grey", 3: "rgb" }[integer(image.channels)] ?? "" });
    at(image, { width: integer(image.height) });
    at(patches, { size: [integer(image.height), integer(image.width)] });
  }
  const kind = isObject(labels) && labels.kind;
  if (kind === "learned" || kind === "fixed") at(labels, { pooling: kind === "learned" ? "cell" : "majority" });
  for (const [name, tensor] of tensors) {
    at(tensor, { coder: has(tensor, "quantiser") ? "context" : "zstd" });
    at(tensor.quantiser, { kind: name === "labels" ? "square" : "uniform" });
  }
  const grid = isObject(patches) && patches.grid;
  if (Array.isArray(grid) && grid.length === 2 && grid.every(Number.isInteger)) {
    at(recipe, { batch_size: product(grid) });
    if (isObject(labels) && labels.kind === "learned") at(labels, { grid });
  }
  const entries = isEntries(m.measured) ? m.measured : [];
  for (const [i, entry] of entries.entries()) {
    const before = entries[i - 1];
    for (const name of i ? INHERITED : []) {
      if (!isScalar(before[name])) continue;
      if (!has(entry, name)) entry[name] = before[name];
      else if (alike(entry[name], before[name])) short = false;
    }
  }
  const empty = (v) => v === "" || (Array.isArray(v) && !v.length) || (isObject(v) && !Object.keys(v).length);
  return short && !OPTIONAL.some((name) => has(m, name) && empty(m[name]));
}

/** Run checks that a file of a later minor version may break: it is then unsupported. */
export function asLater(minor, check) {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof DDSetError) || error.overLimit || minor <= FORMAT.minor) throw error;
    if (error.code === "unsupported") throw error;
    const text = `the file has format 1.${minor}, this reader reads 1.${FORMAT.minor}, where it would be invalid`;
    unsupported(`${text} (${error.message})`);
  }
}

export function checkVersion(m) {
  need(isObject(m), "manifest: not a JSON object");
  const { format } = m;
  const good = isObject(format) && sameSet(Object.keys(format), ["major", "minor"]);
  const whole = good && isInteger(format.major, 1, 2 ** 53) && isInteger(format.minor, 0, 2 ** 53);
  need(whole, "manifest: format must be {major, minor}");
  if (format.major > FORMAT.major) {
    unsupported(`the file has format ${format.major}.${format.minor}, this reader reads ${FORMAT.major}.x`);
  }
  return format.minor;
}

/** Check names and types of the fields, classes and tensors; return whether defaults are left out. */
export function checkFields(m, limits) {
  const { codec } = m;
  const version = isObject(codec) && has(codec, "version") ? codec.version : 1;
  const good = isObject(codec) && typeof codec.name === "string" && isInteger(version, 1, 2 ** 53);
  need(good, "manifest: codec needs a name and a version");
  if (!CODECS.includes(codec.name) || version > 1) {
    const text = `the file needs the codec ${shown(codec.name)} version ${version}`;
    unsupported(`${text}; this reader knows version 1 of ${CODECS.join(", ")}`);
  }
  const short = fillDefaults(m);
  for (const name of Object.keys(m)) need(FIELDS.includes(name), `manifest: unknown field ${shown(name)}`);
  for (const name of FIELDS) {
    need(has(m, name) || OPTIONAL.includes(name), `manifest: field '${name}' is missing`);
    const fits = LISTS.includes(name)
      ? Array.isArray
      : STRINGS.includes(name)
        ? (v) => typeof v === "string"
        : name === "measured"
          ? (v) => isObject(v) || isEntries(v)
          : isObject;
    need(!has(m, name) || fits(m[name]), `manifest: field '${name}' has another type`);
  }
  need(isHex(m.content_digest, 64), "manifest: content_digest must be 64 hex digits");
  need(isHex(m.data_digest, 16), "manifest: data_digest must be 16 hex digits");
  need((m.external ?? []).every(isObject), "manifest: external holds something else than objects");
  limit(m.classes.length, limits.classes, `${m.classes.length} classes`);
  const named = m.classes.length && m.classes.every((n) => typeof n === "string" && n);
  need(named && new Set(m.classes).size === m.classes.length, "manifest: classes must be distinct names", "DDS-E011");
  for (const [name, tensor] of Object.entries(m.tensors)) checkTensor(name, tensor, limits);
  return short;
}

export const SIZES = { uint8: 1, int32: 4, int64: 8, float16: 2, float32: 4 };
export const TAGS = { uint8: "U8", int32: "I32", int64: "I64", float16: "F16", float32: "F32" };
export const PICTURES = ["webp", "avif"];

/** The rows in piece i of a tensor: of the last one what is left. */
export const rowsOf = ({ chunk, shape }, i) => Math.min(chunk ?? shape[0], shape[0] - i * (chunk ?? 0));

export function checkShape(name, shape, limits) {
  const good = Array.isArray(shape) && shape.every((n) => isInteger(n, 1, 2 ** 53));
  need(good, `tensor ${shown(name)}: shape must be positive integers`, "DDS-E006");
  limit(shape.length || Infinity, limits.dimensions, `tensor '${name}': ${shape.length} dimensions`);
}

function checkTensor(name, t, limits) {
  need(/^[a-z][a-z0-9_]{0,63}$/.test(name), `tensor name ${shown(name)} is not allowed`, "DDS-E008");
  const must = (good, why, code = "DDS-E006") => need(good, `tensor '${name}': ${why}`, code);
  must(isObject(t), "not an object");
  const known = ["dtype", "shape", "quantiser", "coder", "chunk", "digests"];
  for (const field of Object.keys(t)) must(known.includes(field), `unknown field ${shown(field)}`);
  must(typeof t.dtype === "string" && has(SIZES, t.dtype), "unknown dtype");
  checkShape(name, t.shape, limits);
  must(["raw", "zstd", "context", ...PICTURES].includes(t.coder), "unknown coder");
  const rows = t.shape[0];
  if (has(t, "chunk")) must(isInteger(t.chunk, 1, rows), "chunk must lie between 1 and the first dimension");
  must(has(t, "chunk") === has(t, "digests"), "chunk and digests go together");
  if (has(t, "digests")) {
    const good = Array.isArray(t.digests) && t.digests.length === ceil(rows, t.chunk);
    must(good && t.digests.every((d) => isHex(d, 64)), "digests must be 64 hex digits for each chunk");
  }
  if (has(t, "quantiser")) {
    must(t.dtype === "float32", "only float32 is quantised", "DDS-E020");
    checkQuantiser(t.quantiser, rows, (good, why) => must(good, why, "DDS-E020"));
  }
  const symbols = product(t.shape);
  if (t.coder === "context") {
    must(has(t, "quantiser") || t.dtype === "uint8", "the coder context is for symbols of 8 bits");
    limit(symbols, limits.contextSymbols, `tensor '${name}': ${symbols} symbols in the coder context`);
  }
  if (PICTURES.includes(t.coder)) {
    const good = t.dtype === "uint8" && t.shape.length === 4 && [1, 3].includes(t.shape[1]) && has(t, "chunk");
    must(good, `the coder ${t.coder} is for chunks of uint8 (N, 1 or 3, H, W)`);
  }
}

function checkQuantiser(q, rows, must) {
  must(isObject(q) && ["uniform", "square"].includes(q.kind), "quantiser must be uniform or square");
  const fields = q.kind === "square" ? ["bits", "kind", "scale"] : ["bits", "kind", "offset", "scale"];
  must(sameSet(Object.keys(q), fields), `quantiser must have ${fields.join(", ")}`);
  must(isInteger(q.bits, 1, 8), "quantiser must have 1 to 8 bits");
  const isScale = (v) => inside(v, 1e-30, 1e30);
  if (q.kind === "square") return must(isScale(q.scale), "scale must be positive and of a sane size");
  const listed = [q.offset, q.scale].every((v) => Array.isArray(v) && [1, rows].includes(v.length));
  must(listed && q.offset.length === q.scale.length, "offset and scale need one value, or one for each row");
  const good = q.scale.every(isScale) && q.offset.every((v) => inside(v, -1e30, 1e30));
  must(good, "scale must be positive and both of a sane size");
}
