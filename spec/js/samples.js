/** Samples of each codec: where they lie, their pixels, their labels (sections 6 and 8). */

import { regionsOf } from "./codecs.js";
import { DDSetError, need } from "./errors.js";
import { cellEdges, indicesOf, oneHot, patchLabel, shares, symbolLabel, WEIGHTS } from "./labels.js";
import { taught } from "./teacher.js";
import { synthesised } from "./transform.js";
import { product, rint } from "./values.js";

/** Where the patches of an axis begin (section 8.1). */
export function origins(length, size, n, rule, cells) {
  if (rule === "per-class")
    return Array.from({ length: cells }, (_, c) => {
      const [first, after] = cellEdges(length, cells, c);
      return origins(after - first, size, n / cells, "linspace-half-even", 1).map((place) => first + place);
    }).flat();
  if (n === 1) return [0];
  return Array.from({ length: n }, (_, i) => {
    const whole = Math.floor((i * (length - size)) / (n - 1));
    const rest = i * (length - size) - whole * (n - 1);
    return whole + (2 * rest > n - 1 || (2 * rest === n - 1 && whole % 2 === 1) ? 1 : 0);
  });
}

/** Posters and their label grids stage by stage, differences added up; checks their values. */
function stagesOf(m, tensors) {
  if (m.codec.name === "podd") {
    if (tensors.labels) checkSoft("labels", tensors.labels, m.classes.length);
    const { expanded: size, transform } = m.codec.params;
    const { poster, labels } = tensors;
    const pixels = transform ? synthesised(poster, transform) : size ? grown(poster, size) : poster.data;
    return [{ poster: pixels, labels: labels?.data }];
  }
  const differences = new Set(m.codec.params.differences);
  const stages = [];
  m.codec.params.weights.forEach((_, i) => {
    const stage = {};
    for (const kind of tensors.labels_1 ? ["poster", "labels"] : ["poster"]) {
      const name = `${kind}_${i + 1}`;
      const { data } = tensors[name];
      if (differences.has(name)) stage[kind] = added(stages[i - 1][kind], data, kind === "labels", i + 1);
      else stage[kind] = data;
      if (kind === "labels") checkSoft(name, { data: stage.labels }, m.classes.length);
    }
    stages.push(stage);
  });
  return stages;
}

/** Sums, each rounded once to binary32; of labels what is less than 0 becomes 0. */
function added(before, difference, limited, number) {
  return before.map((value, i) => {
    const total = Math.fround(value + difference[i]);
    if (!Number.isFinite(total))
      throw new DDSetError("DDS-E023", `stage ${number}: a sum of differences is not finite`);
    return limited && total < 0 ? 0 : total;
  });
}

function checkSoft(name, { data }, classes) {
  for (let at = 0; at < data.length; at += classes) {
    let most = 0;
    for (let i = at; i < at + classes; i++) {
      if (data[i] < 0) need(false, `tensor '${name}': a value is negative`, "DDS-E014");
      if (data[i] > most) most = data[i];
    }
    if (most === 0) need(false, `tensor '${name}': a cell is all zero`, "DDS-E014");
  }
}

/** Check what depends on decoded values, for all but posters. */
function checkValues(m, tensors) {
  const { labels, label_classes: listed, label_weights: weights, seeds } = tensors;
  const classes = m.classes.length;
  if (seeds)
    need(
      seeds.data.every((seed) => seed >= 0),
      "tensor 'seeds': a seed is negative",
      "DDS-E012",
    );
  if (m.labels.kind === "soft") checkSoft("labels", labels, classes);
  else if (m.labels.kind === "index") {
    const code = m.codec.name === "images" ? "DDS-E014" : "DDS-E011";
    need(
      labels.data.every((index) => index >= 0),
      "tensor 'labels': a value is negative",
      code,
    );
    const good = labels.data.every((index) => index < classes);
    need(good, "tensor 'labels': a class index is out of range", "DDS-E011");
  } else if (labels) {
    const width = labels.shape.at(-1);
    for (let at = 0; at < labels.data.length; at += width) {
      const good = labels.data.subarray(at, at + width).includes(0);
      if (!good) need(false, "tensor 'labels': a label has no symbol 0", "DDS-E014");
    }
  }
  if (weights) need(!weights.data.includes(0), "tensor 'label_weights': a symbol is out of range", "DDS-E022");
  for (let i = 0; listed && i < product(listed.shape.slice(0, -2)); i++) {
    const index = indicesOf(listed, i);
    const known = index.every((c) => c < classes);
    need(known, "tensor 'label_classes': a class index is out of range", "DDS-E011");
    const distinct = new Set(index).size === index.length;
    need(distinct, "tensor 'label_classes': a class stands twice in a label", "DDS-E011");
  }
}

/** What networks see of 8-bit pixels (C, H, W): float32 (section 6). */
export function preprocess(pixels, image) {
  const p = image.preprocessing;
  if (p.kind === "conv_whiten") return whiten(pixels, image);
  const plane = image.height * image.width;
  const [mean, std] =
    p.kind === "standardise"
      ? [p.mean, p.std]
      : [
          [0, 0, 0],
          [1, 1, 1],
        ];
  const table = Float32Array.from(
    { length: 256 * image.channels },
    (_, i) => ((i & 255) / 255 - mean[i >> 8]) / std[i >> 8],
  );
  return Float32Array.from(pixels, (value, i) => table[256 * Math.floor(i / plane) + value]);
}

function whiten(pixels, { channels, height, width, preprocessing: { gain, size, kernel } }) {
  const [n, half] = [pixels.length, size >> 1];
  const mean = (16 * pixels.reduce((a, b) => a + b, 0)) / n;
  const u = Float64Array.from(pixels, (value) => rint(16 * value - mean));
  const contrast = Math.sqrt(u.reduce((sum, value) => sum + value * value, 0) / n) || 1;
  const z = new Float64Array(n);
  let at = 0;
  for (let a = 0; a < channels; a++)
    for (let b = 0; b < channels; b++)
      for (let dy = -half; dy <= half; dy++)
        for (let dx = -half; dx <= half; dx++) {
          const weight = kernel[at++];
          for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
            const [target, source] = [(a * height + y) * width, (b * height + y + dy) * width + dx];
            for (let x = Math.max(0, -dx); x < Math.min(width, width - dx); x++)
              z[target + x] += weight * u[source + x];
          }
        }
  return Float32Array.from(z, (value) => (value * gain) / contrast);
}

/** For each pixel of an axis of m that one of n is expanded to: its sources and their weights. */
function taps(n, m) {
  return Array.from({ length: m }, (_, i) => {
    const p = (2 * i + 1) * n - m;
    const k = Math.floor(p / (2 * m));
    return [Math.max(k, 0), Math.min(k + 1, n - 1), 2 * m - (p - 2 * m * k), p - 2 * m * k];
  });
}

/** A cell of a mosaic (C, H, W) at full size, 8 bits (section 8.3). */
function expanded(mosaic, { channels, height, width }, { x: left, y: top, width: w, height: h }) {
  const out = new Uint8Array(mosaic.length);
  const [rows, columns] = [taps(h, height), taps(w, width)];
  let at = 0;
  for (let c = 0; c < channels; c++)
    for (const [y0, y1, a, b] of rows) {
      const [upper, lower] = [y0, y1].map((y) => (c * height + top + y) * width + left);
      for (const [x0, x1, d, e] of columns) {
        const above = d * mosaic[upper + x0] + e * mosaic[upper + x1];
        const below = d * mosaic[lower + x0] + e * mosaic[lower + x1];
        out[at++] = Math.floor((2 * (a * above + b * below) + 4 * height * width) / (8 * height * width));
      }
    }
  return out;
}

/** A poster (C, h, w) at the size that patches are cut from, rounded once to binary32 (section 8.1). */
function grown({ data, shape: [channels, h, w] }, [height, width]) {
  const out = new Float32Array(channels * height * width);
  const [rows, columns] = [taps(h, height), taps(w, width)];
  let at = 0;
  for (let c = 0; c < channels; c++)
    for (const [y0, y1, a0, a1] of rows) {
      const [upper, lower] = [(c * h + y0) * w, (c * h + y1) * w];
      for (const [x0, x1, b0, b1] of columns) {
        const above = data[upper + x0] * b0 + data[upper + x1] * b1;
        const below = data[lower + x0] * b0 + data[lower + x1] * b1;
        out[at++] = (above * a0 + below * a1) / (4 * height * width);
      }
    }
  return out;
}

/** What a codec makes of its tensors: pictures, and places, pixels and labels of samples; checks the values. */
export function samplesOf(m, tensors) {
  const sets = { podd: patchSet, ppodd: patchSet, images: imageSet, lic: mosaicSet, d3m: generatedSet };
  return sets[m.codec.name](m, tensors);
}

/** Height and width of the poster that patches are cut from. */
export const posterSize = ({ codec, tensors }) =>
  codec.params.transform?.size ?? codec.params.expanded ?? (tensors.poster ?? tensors.poster_1).shape.slice(1);

function patchSet(m, tensors) {
  const stages = stagesOf(m, tensors);
  const [height, width] = posterSize(m);
  const { channels } = m.image;
  const {
    size: [h, w],
    grid: [px, py],
    origins: rule,
  } = m.patches;
  const xs = origins(width, w, px, rule, m.order.grid[0]);
  const ys = origins(height, h, py, rule, m.order.grid[1]);
  const total = (m.codec.params.weights ?? [1]).reduce((a, b) => a + b);
  const place = (i) => {
    const [picture, k] = [Math.floor(i / (px * py)), i % (px * py)];
    return { picture, x: xs[Math.floor(k / py)], y: ys[k % py], width: w, height: h };
  };
  return {
    kind: "poster",
    length: px * py * stages.length,
    pictures: stages.length,
    picture: (index) => ({ channels, height, width, data: stages[index].poster }),
    place,
    pixels(i) {
      const { picture, x, y } = place(i);
      const data = new Float32Array(channels * h * w);
      for (let line = 0; line < channels * h; line++) {
        const start = (Math.floor(line / h) * height + y + (line % h)) * width + x;
        data.set(stages[picture].poster.subarray(start, start + w), line * w);
      }
      return data;
    },
    label(i) {
      const { picture, x, y } = place(i);
      const k = i % (px * py);
      return patchLabel(m, stages[picture].labels, { ix: Math.floor(k / py), iy: k % py, x, y, height, width });
    },
    weight: (i) => (m.codec.params.weights?.[Math.floor(i / (px * py))] ?? 1) / total / (px * py),
  };
}

function storedPictures(m, tensors) {
  const { channels, height, width } = m.image;
  const size = channels * height * width;
  const { data, shape } = tensors.images;
  const of = (index) => data.subarray(index * size, (index + 1) * size);
  return { pictures: shape[0], picture: (index) => ({ channels, height, width, data: of(index) }) };
}

function imageSet(m, tensors) {
  checkValues(m, tensors);
  const { height, width } = m.image;
  const [stored, classes] = [storedPictures(m, tensors), m.classes.length];
  const { data } = tensors.labels;
  return {
    ...stored,
    kind: "images",
    length: stored.pictures,
    place: (i) => ({ picture: i, x: 0, y: 0, width, height }),
    pixels: (i) => stored.picture(i).data,
    label: (i) =>
      m.labels.kind === "index" ? oneHot(classes, data[i]) : shares(data.subarray(i * classes, (i + 1) * classes)),
  };
}

function mosaicSet(m, tensors) {
  checkValues(m, tensors);
  const stored = storedPictures(m, tensors);
  const { height, width } = m.image;
  const [across, down] = m.codec.params.cells;
  const regions = regionsOf(m.codec.params.cells);
  const place = (i) => {
    const [picture, region] = [Math.floor(i / regions), i % regions];
    if (region === across * down || across * down === 1) return { picture, x: 0, y: 0, width, height };
    const [left, right] = cellEdges(width, across, region % across);
    const [top, bottom] = cellEdges(height, down, Math.floor(region / across));
    return { picture, x: left, y: top, width: right - left, height: bottom - top };
  };
  const pixels = (i) => {
    const { data } = stored.picture(Math.floor(i / regions));
    const found = place(i);
    return found.width === width && found.height === height ? data : expanded(data, m.image, found);
  };
  return {
    ...stored,
    kind: "mosaics",
    length: stored.pictures * regions,
    place,
    pixels,
    label(i) {
      if (m.labels.kind === "index") return oneHot(m.classes.length, tensors.labels.data[Math.floor(i / regions)]);
      if (m.labels.kind !== "teacher") return symbolLabel(m, tensors, i);
      return shares(Float64Array.from(taught(preprocess(pixels(i), m.image), m, tensors), (q) => WEIGHTS[q]));
    },
  };
}

function generatedSet(m, tensors) {
  checkValues(m, tensors);
  const { images, take } = m.codec.params;
  const classes = m.classes.length;
  return {
    kind: "none",
    length: tensors.seeds.shape[0] * classes * images * take ** 2,
    pictures: 0,
    place: () => null,
    label: (i) =>
      m.labels.kind === "class"
        ? oneHot(classes, Math.floor(i / take ** 2 / images) % classes)
        : symbolLabel(m, tensors, i),
  };
}
