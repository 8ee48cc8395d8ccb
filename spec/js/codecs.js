/** What must hold for the manifest of each codec (section 8), without tensor data. */

import { limit, need, shown } from "./errors.js";
import { checkTeacher } from "./teacher.js";
import {
  between,
  ceil,
  count,
  has,
  inside,
  isFlag,
  isInteger,
  isNumber,
  isObject,
  isPair,
  isText,
  oneOf,
  product,
  same,
  sameSet,
} from "./values.js";

function checkPodd(m, limits, tensors = m.tensors, params = m.codec.params) {
  const { image, order, patches } = m;
  const fields = isObject(params) ? Object.keys(params) : [null];
  need(fields.length < 2 && fields.every(oneOf("expanded", "transform")), "codec: unknown field");
  const { poster } = tensors;
  const [dtype, dimensions] = has(params, "transform") ? ["uint8", 5] : ["float32", 3];
  const fitting = poster?.dtype === dtype && poster.shape.length === dimensions;
  need(fitting, `tensor 'poster': must be ${dtype} in ${dimensions} dimensions`, "DDS-E013");
  const [channels, ...stored] = poster.shape;
  need(channels === image.channels, "tensor 'poster': another number of channels", "DDS-E012");
  let size = stored;
  if (dimensions === 5) size = checkTransform(params.transform, stored);
  else if (has(params, "expanded")) size = checkExpanded(params.expanded, stored);
  const [height, width] = size;
  limit(4 * channels * height * width, limits.decodedBytes, "poster: too many bytes");
  const good = has(m, "patches") && sameSet(Object.keys(patches), ["grid", "size", "origins"]);
  need(good, "patches: needs grid, size and origins");
  need(["linspace-half-even", "per-class"].includes(patches.origins), "patches: unknown rule for origins");
  need(isPair(patches.grid) && isPair(patches.size), "patches: grid and size are pairs");
  need(same(patches.size, [image.height, image.width]), "patches: size differs from the image's", "DDS-E012");
  const [h, w] = patches.size;
  need(h <= height && w <= width, "patches: larger than the poster", "DDS-E012");
  const samples = product(patches.grid);
  limit(samples, limits.patches, `${samples} patches`);
  const must = (condition, why) => need(condition, `order: ${why}`, "DDS-E011");
  const names = Object.keys(order ?? {}).filter((name) => name !== "score");
  must(sameSet(names, ["grid", "cells", "rule"]), "fields");
  must(isPair(order.grid), "grid is a pair");
  must(["clip", "image", "colour", "paper", "given", "random", "file"].includes(order.rule), "unknown rule");
  must(!has(order, "score") || isNumber(order.score, -1e30, 1e30), "score must be a number");
  must(Array.isArray(order.cells) && order.cells.length === product(order.grid), "too few cells");
  must(order.cells.every(count(m.classes.length - 1, 0)), "class index");
  must(new Set(order.cells).size === m.classes.length, "a class owns no cell");
  if (patches.origins === "per-class")
    for (const [length, size, along] of [
      [width, w, 0],
      [height, h, 1],
    ]) {
      const cells = order.grid[along];
      const fits = patches.grid[along] % cells === 0 && Math.floor(length / cells) >= size;
      need(fits, "patches: they do not fit into the class cells", "DDS-E012");
    }
  checkPosterLabels(m, samples, limits, tensors);
}

function checkExpanded(size, stored) {
  const must = (good, why) => need(good, `codec: ${why}`, "DDS-E012");
  must(isPair(size), "expanded must be a height and a width");
  must(!same(size, stored), "expanded to the size that the poster has");
  const fits = size.every((side, axis) => stored[axis] <= side && side <= 8 * stored[axis]);
  must(fits, "a side is expanded by 1 to 8");
  return size;
}

function checkTransform(transform, stored) {
  const { size, step } = transform ?? {};
  const good = isObject(transform) && sameSet(Object.keys(transform), ["size", "step"]);
  need(good && inside(step, 1e-30, 1e30), "codec: transform needs size and step");
  const fits = isPair(size) && same(stored, [...size.map((side) => ceil(side, 8)), 8, 8]);
  need(fits, "codec: transform to another size", "DDS-E012");
  return size;
}

function checkPosterLabels(m, samples, limits, tensors) {
  const { labels } = m;
  const must = (good, why, code = "DDS-E014") => need(good, `labels: ${why}`, code);
  const names = Object.keys(tensors);
  must(["fixed", "learned"].includes(labels.kind), "kind must be fixed or learned");
  if (labels.kind === "fixed") {
    must(sameSet(Object.keys(labels), ["kind", "pooling"]) && labels.pooling === "majority", "fields");
    must(sameSet(names, ["poster"]), "fixed labels need the poster alone", "DDS-E013");
    return checkAmount(samples, "patches", Math.max(m.order.cells.length, m.classes.length), limits);
  }
  must(sameSet(Object.keys(labels), ["kind", "pooling", "grid"]), "fields");
  must(["area", "cell"].includes(labels.pooling), "unknown pooling");
  must(isPair(labels.grid), "grid is a pair");
  must(sameSet(names, ["poster", "labels"]), "the tensor 'labels' is missing", "DDS-E013");
  const shape = [labels.grid[1], labels.grid[0], m.classes.length];
  isOf(tensors.labels, "labels", ["float32"], shape, "(rows, columns, classes)");
  checkAmount(samples, "patches", Math.max(product(labels.grid), m.classes.length), limits);
}

/** Bound the samples, called `noun`, and what they decode to: their labels, or weights of cells. */
function checkAmount(samples, noun, values, limits) {
  limit(samples, limits.patches, `${samples} ${noun}`);
  limit(samples * values * 8, limits.decodedBytes, `labels: ${samples} ${noun} of ${values} values`);
}

/** Check dtype and shape of a listed tensor, the last sizes of which may be left open. */
function isOf(t, name, dtypes, shape, axes) {
  const fits = t && dtypes.includes(t.dtype) && same(t.shape, shape);
  need(fits, `tensor '${name}': must be ${dtypes.join(" or ")} ${axes}`, "DDS-E013");
}

function checkPpodd(m, limits) {
  const { params } = m.codec;
  const known = isObject(params) && Object.keys(params).every((name) => ["weights", "differences"].includes(name));
  need(known && has(params, "weights"), "codec: params");
  const { weights, differences } = params;
  need(Array.isArray(weights) && weights.length >= 1 && weights.length <= 100, "codec: weights");
  need(weights.every(between(1e-6, 1)), "codec: a weight must lie in 1e-6 to 1");
  const kinds = m.labels.kind === "learned" ? ["poster", "labels"] : ["poster"];
  const names = weights.flatMap((_, i) => kinds.map((kind) => `${kind}_${i + 1}`));
  need(sameSet(Object.keys(m.tensors), names), "tensors: not those of the stages", "DDS-E013");
  if (has(params, "differences")) {
    const later = new Set(names.filter((name) => !name.endsWith("_1")));
    const listed = Array.isArray(differences) && differences.length > 0 && differences.every((n) => later.has(n));
    const ordered = listed && differences.every((name, i) => i === 0 || differences[i - 1] < name);
    need(ordered, "codec: differences", "DDS-E013");
  }
  weights.forEach((_, i) => {
    const stage = Object.fromEntries(kinds.map((kind) => [kind, m.tensors[`${kind}_${i + 1}`]]));
    need(same(stage.poster.shape, m.tensors.poster_1.shape), "tensors: posters differ in shape", "DDS-E013");
    checkPodd(m, limits, stage, {});
  });
  checkAmount(product(m.patches.grid) * weights.length, "patches", m.classes.length, limits);
}

function checkImages(m, limits) {
  const { image, labels } = m;
  need(["soft", "index"].includes(labels.kind), "labels: kind must be soft or index", "DDS-E014");
  need(sameSet(Object.keys(labels), ["kind"]), "labels: fields", "DDS-E014");
  need(sameSet(Object.keys(m.tensors), ["images", "labels"]), "tensors: must be images and labels", "DDS-E013");
  const { images, labels: stored } = m.tensors;
  const n = images.shape[0];
  const shape = [n, image.channels, image.height, image.width];
  isOf(images, "images", ["uint8", "float32"], shape, "(N, channels, height, width)");
  if (labels.kind === "soft") isOf(stored, "labels", ["float32"], [n, m.classes.length], "(N, classes)");
  else isOf(stored, "labels", ["int32"], [n], "(N)");
  need(images.chunk === stored.chunk, "tensors: images and labels differ in 'chunk'", "DDS-E013");
  checkAmount(n, "images", m.classes.length, limits);
}

/** Samples of a mosaic: its cells and, where there are several, all of it. */
export const regionsOf = ([across, down]) => across * down + (across * down > 1 ? 1 : 0);

function checkLic(m, limits) {
  const { image } = m;
  const { params } = m.codec;
  need(isObject(params) && sameSet(Object.keys(params), ["cells", "filter"]), "codec: params");
  need(params.filter === "bilinear", "codec: unknown filter", "DDS-E012");
  need(isPair(params.cells), "codec: cells is a pair", "DDS-E012");
  const [across, down] = params.cells;
  const fits = across <= Math.min(64, image.width) && down <= Math.min(64, image.height);
  need(fits, "codec: more cells than pixels, or more than 64 a side", "DDS-E012");
  const { images } = m.tensors;
  const n = images?.shape[0];
  isOf(images, "images", ["uint8"], [n, image.channels, image.height, image.width], "(N, channels, height, width)");
  checkAmount(n * regionsOf(params.cells), "regions", m.classes.length, limits);
  checkSymbolLabels(m, ["logits", "top", "index", "teacher"], ["images"], [n, regionsOf(params.cells)], limits);
  for (const [name, t] of Object.entries(m.tensors)) {
    // A teacher belongs to no chunk of the images: it is one piece, whatever it is called.
    const alone = ["label_weights", "label_affine"].includes(name) && t.chunk === t.shape[0];
    const chunk = ["label_weights", "label_affine"].includes(name) ? undefined : images.chunk;
    need(alone || t.chunk === chunk, "tensors: they differ in 'chunk'", "DDS-E013");
  }
}

/** Check the labels of lic and d3m, and that no tensors but theirs and `others` are listed. */
function checkSymbolLabels(m, kinds, others, rows, limits) {
  const { labels, tensors } = m;
  const must = (good, why, code = "DDS-E014") => need(good, `labels: ${why}`, code);
  must(kinds.includes(labels.kind), `kind must be ${kinds.join(", ")}`);
  const fields = ["index", "class"].includes(labels.kind) ? ["kind"] : ["kind", "temperature"];
  if (labels.kind === "teacher") {
    fields.push("architecture", "scale");
    if (labels.architecture === "residual") fields.push("size");
    if (has(labels, "live")) fields.push("live");
  }
  must(sameSet(Object.keys(labels), fields), "fields");
  must(fields.length === 1 || isNumber(labels.temperature, 0.01, 100), "temperature");
  const teacher = ["label_weights", "label_affine"];
  const needed = { class: [], top: ["labels", "label_classes"], teacher }[labels.kind] ?? ["labels"];
  if (labels.kind === "teacher") {
    must(oneOf("convnet3", "convnet4", "resnet18", "mobilenetv2", "residual")(labels.architecture), "architecture");
    must(!has(labels, "size") || isInteger(labels.size, 1, 200), "size");
    must(!has(labels, "live") || labels.live === true, "live must be true or absent");
    must(isNumber(labels.scale, 1e-6, 1e6), "scale");
    must(m.image.preprocessing.kind !== "conv_whiten", "a teacher sees images that are not whitened");
  }
  const listed = sameSet(Object.keys(tensors), [...others, ...needed]);
  need(listed, `tensors: labels of kind ${labels.kind} need others`, "DDS-E013");
  const classes = m.classes.length;
  if (labels.kind === "teacher") checkTeacher(m, product(rows), limits);
  if (labels.kind === "index") isOf(tensors.labels, "labels", ["int32"], [rows[0]], "(N)");
  if (labels.kind === "logits") isOf(tensors.labels, "labels", ["uint8"], [...rows, classes], "(.., regions, classes)");
  if (labels.kind === "top") {
    const top = tensors.labels.shape.at(-1) - 1;
    need(top >= 1 && top < classes, "tensor 'labels': must list fewer classes than there are", "DDS-E013");
    isOf(tensors.labels, "labels", ["uint8"], [...rows, top + 1], "(.., regions, symbols)");
    const bytes = classes <= 256 ? 1 : classes <= 65536 ? 2 : 3;
    isOf(tensors.label_classes, "label_classes", ["uint8"], [...rows, bytes, top], "(.., regions, bytes, k)");
  }
}

const SETTINGS = {
  num_train_timesteps: count(10_000),
  solver_order: count(3),
  steps_offset: count(100, 0),
  lambda_min_clipped: between(-1000, 0),
  beta_schedule: oneOf("linear", "scaled_linear", "squaredcos_cap_v2"),
  prediction_type: oneOf("epsilon", "sample", "v_prediction"),
  timestep_spacing: oneOf("leading", "linspace", "trailing"),
  algorithm_type: oneOf("dpmsolver", "dpmsolver++"),
  solver_type: oneOf("midpoint", "heun"),
  final_sigmas_type: oneOf("zero", "sigma_min"),
  time_shift_type: oneOf("exponential"),
};
for (const name of ["beta_start", "beta_end", "dynamic_thresholding_ratio"]) SETTINGS[name] = between(0, 1);
for (const name of ["clip_sample_range", "sample_max_value", "flow_shift"]) SETTINGS[name] = between(0, 1000);
for (const name of ["clip_sample", "euler_at_final", "lower_order_final", "rescale_betas_zero_snr"])
  SETTINGS[name] = isFlag;
for (const name of ["set_alpha_to_one", "thresholding", "use_dynamic_shifting"]) SETTINGS[name] = isFlag;
for (const name of ["beta", "exponential", "flow", "karras", "lu"]) SETTINGS[`use_${name}_sigmas`] = isFlag;

function checkD3m(m, limits) {
  const p = m.codec.params;
  const fields = ["prompt", "collage", "take", "images", "key", "size", "scheduler", "steps", "guidance", "dtype"];
  const must = (good, why, code) => need(good, `codec: ${why}`, code);
  must(isObject(p) && sameSet(Object.keys(p), fields), "params");
  must(isText(p.prompt) && p.prompt.split("*").length === 2, "prompt must hold one '*'");
  must(isInteger(p.key, 0, 2 ** 53), "key is an integer from 0 to 2^53");
  must(isInteger(p.steps, 1, 1000), "steps must lie in 1..1000");
  must(isNumber(p.guidance, 0, 100), "guidance must lie in 0..100");
  must(oneOf("float32", "float16", "bfloat16")(p.dtype), "unknown dtype");
  const scheduled = isObject(p.scheduler) && sameSet(Object.keys(p.scheduler), ["name", "config"]);
  must(scheduled && oneOf("ddim", "dpm_solver")(p.scheduler.name), "unknown scheduler");
  const { config } = p.scheduler;
  must(isObject(config) && Object.keys(config).length > 0, "scheduler config");
  for (const [name, value] of Object.entries(config)) {
    must(has(SETTINGS, name), `the scheduler has no setting ${shown(name)}`);
    must(SETTINGS[name](value), `the scheduler's ${name} has a value not allowed`);
  }
  must(p.steps <= (config.num_train_timesteps ?? 1000), "more steps than the scheduler's num_train_timesteps");
  const { collage: n, take } = p;
  const divides = isInteger(n, 1, 16) && isInteger(take, 1, n) && n % take === 0;
  must(divides, "take must divide collage, both 1 to 16", "DDS-E012");
  const sized =
    Array.isArray(p.size) && p.size.length === 2 && p.size.every((s) => isInteger(s, n, 4096) && s % n === 0);
  must(sized, "size must be a multiple of collage, at most 4096", "DDS-E012");
  must(take <= Math.min(m.image.height, m.image.width), "more patches than pixels", "DDS-E012");
  must(isInteger(p.images, 1, 2 ** 53), "images must be 1 or more", "DDS-E012");
  need(m.external?.length === 1, "external: the codec d3m needs one model");
  need(has(m.external[0], "files"), "external: the model's files are missing");
  const { tensors } = m;
  const classes = m.classes.length;
  for (const [name, t] of Object.entries(tensors))
    need(!has(t, "chunk"), `tensor '${name}': must be in one piece`, "DDS-E013");
  const variations = tensors.seeds?.shape[0];
  const collages = ceil(p.images, (n / take) ** 2);
  isOf(tensors.seeds, "seeds", ["uint8", "int32"], [variations, classes, collages], "(V, classes, G)");
  const images = variations * classes * p.images;
  checkAmount(images * take ** 2, "patches", classes, limits);
  isOf(tensors.fingerprints, "fingerprints", ["uint8"], [classes, 4, 4], "(classes, 4, 4)");
  const others = ["seeds", "fingerprints"];
  if (has(tensors, "tokens")) {
    const width = tensors.tokens.shape[1];
    isOf(tensors.tokens, "tokens", ["float16", "float32"], [classes, Math.min(width, 65536)], "(classes, d)");
    others.push("tokens");
  }
  checkSymbolLabels(m, ["logits", "top", "class"], others, [images, take ** 2], limits);
}

export const CHECKS = { podd: checkPodd, ppodd: checkPpodd, images: checkImages, lic: checkLic, d3m: checkD3m };
