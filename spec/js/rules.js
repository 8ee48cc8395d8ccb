/** What must hold for the fields of a manifest, whatever its codec (sections 4, 6, 7). */

import { CHECKS } from "./codecs.js";
import { need, shown } from "./errors.js";
import {
  between,
  count,
  has,
  inside,
  isHex,
  isInteger,
  isNumber,
  isObject,
  isSide,
  isText,
  isWord,
  sameSet,
} from "./values.js";

const isDigest = (v) => isHex(v, 32);

function isWeights(path) {
  const folder = /^([A-Za-z0-9_-][A-Za-z0-9_.-]*\/){0,3}[A-Za-z0-9_-][A-Za-z0-9_.-]*\.safetensors$/;
  return isText(path) && folder.test(path) && !path.includes("..");
}

function isFiles(v) {
  const paths = isObject(v) ? Object.entries(v) : [];
  return paths.length >= 1 && paths.length <= 64 && paths.every(([p, d]) => isWeights(p) && isHex(d, 64));
}

/** Place -> field -> what its value must be; a field with a question mark may be absent. */
const DESCRIPTIONS = {
  recipe: {
    network: isObject,
    optimizer: isObject,
    steps: count(1e9),
    batch_size: count(1e9),
    augment: isWord,
    loss: isWord,
    "schedule?": isWord,
  },
  "recipe.network": { name: isWord, norm: isWord, depth: count(64), width: count(65536) },
  "recipe.optimizer": { name: isWord, lr: between(1e-12, 1000), "weight_decay?": between(0, 1) },
  source: {
    name: isText,
    split: isWord,
    count: count(),
    digest: isDigest,
    "size?": count(4096),
    "test_share?": between(0.001, 0.9),
  },
  provenance: { tool: isText, command: (v) => isText(v, 2000), seed: count(2 ** 53, 0), "observer?": isObject },
  "provenance.observer": { architecture: isText, digest: isDigest },
  measured: {
    accuracy_mean: between(0, 1),
    accuracy_std: between(0, 1),
    nets: count(1e6),
    steps: count(1e9),
    test: isText,
    test_count: count(),
    "tool?": isText,
  },
  "measured.networks": {
    network: isText,
    norm: isWord,
    accuracy_mean: between(0, 1),
    accuracy_std: between(0, 1),
    nets: count(1e6),
    steps: count(1e9),
    optimizer: isWord,
    lr: between(1e-12, 1000),
    "own?": (v) => v === true,
    "tool?": isText,
  },
  external: { name: isText, revision: isText, bytes: count(2 ** 53, 0), "files?": isFiles },
};

function describe(where, value) {
  const rules = DESCRIPTIONS[where];
  for (const name of Object.keys(value)) {
    const good = has(rules, name) || has(rules, `${name}?`);
    need(good, `manifest: ${where}: unknown field ${shown(name)}`);
  }
  for (const [rule, fits] of Object.entries(rules)) {
    const name = rule.replace("?", "");
    need(has(value, name) || rule !== name, `manifest: ${where}: field '${name}' is missing`);
    const good = !has(value, name) || fits(value[name]);
    need(good, `manifest: ${where}: field '${name}' has a value that is not allowed`);
  }
}

export function checkManifest(m, limits) {
  describe("recipe", m.recipe);
  describe("recipe.network", m.recipe.network);
  describe("recipe.optimizer", m.recipe.optimizer);
  const decays = m.recipe.optimizer.name === "adam" && has(m.recipe.optimizer, "weight_decay");
  need(!decays, "manifest: recipe.optimizer: adam has no weight_decay");
  describe("source", m.source);
  describe("provenance", m.provenance);
  if (has(m.provenance, "observer")) describe("provenance.observer", m.provenance.observer);
  const [own, ...networks] = [m.measured ?? []].flat();
  if (own) describe("measured", own);
  for (const entry of networks) describe("measured.networks", entry);
  for (const item of m.external ?? []) describe("external", item);
  need(!has(m, "license") || isText(m.license), "manifest: license must be a short text");
  for (const name of m.classes) need(isText(name), `classes: the name ${shown(name)} is not allowed`, "DDS-E011");
  checkImage(m.image);
  need(sameSet(Object.keys(m.codec), ["name", "version", "params"]), "codec: unknown field");
  const { params } = m.codec;
  const others = has(m, "patches") ? "patches" : has(m, "order") ? "order" : null;
  if (m.codec.name === "images") need(isObject(params) && !Object.keys(params).length, "codec: unknown field");
  if (!m.codec.name.endsWith("podd")) need(!others, `${others}: the codec ${m.codec.name} has none`);
  CHECKS[m.codec.name](m, limits);
}

function checkImage(image) {
  const fields = ["channels", "height", "width", "colour", "preprocessing"];
  need(sameSet(Object.keys(image), fields), "image: fields");
  for (const name of fields.slice(0, 3)) need(isSide(image[name]), `image: ${name} must be a positive integer`);
  need({ 1: "grey", 3: "rgb" }[image.channels] === image.colour, "image: colour");
  const p = image.preprocessing;
  const must = (good, why) => need(good, `preprocessing: ${why}`, "DDS-E014");
  const kinds = { none: [], standardise: ["mean", "std"], conv_whiten: ["gain", "size", "kernel"] };
  must(isObject(p) && typeof p.kind === "string" && has(kinds, p.kind), "unknown kind");
  must(sameSet(Object.keys(p), ["kind", ...kinds[p.kind]]), "unknown or missing field");
  const are = (v, length, fits) => Array.isArray(v) && v.length === length && v.every(fits);
  if (p.kind === "standardise") {
    must(are(p.mean, image.channels, between(-1e6, 1e6)), "mean");
    must(
      are(p.std, image.channels, (v) => isNumber(v, -1e6, 1e6) && v > 1e-6),
      "std must be positive",
    );
  } else if (p.kind === "conv_whiten") {
    must([image.height, image.width].every(count(512, 2)), "2 to 512 pixels are whitened");
    must(inside(p.gain, 1e-30, 1e30), "gain must be a positive number");
    must(isInteger(p.size, 1, 31) && p.size % 2 === 1, "size");
    must(are(p.kernel, (p.size * image.channels) ** 2, count(2047, -2047)), "kernel");
  }
}
