/** Soft labels (section 8): in binary64, in the order that the document gives, rounded once. */

import { ceil } from "./values.js";

/** The first pixel of cell c of g on an axis, and the first behind its last. */
export const cellEdges = (length, g, c) => [ceil(c * length, g), ceil((c + 1) * length, g)];

/** A label divided by its sum, taken in the order of the classes, rounded once to binary32. */
export function shares(label) {
  let mass = 0;
  for (const value of label) mass += value;
  return Float32Array.from(label, (value) => value / mass);
}

export function oneHot(classes, index) {
  const label = new Float32Array(classes);
  label[index] = 1;
  return label;
}

/** The class indices of label i of `label_classes` (.., bytes, k), lowest byte first. */
export function indicesOf({ data, shape }, i) {
  const [bytes, k] = shape.slice(-2);
  const start = i * bytes * k;
  return Array.from({ length: k }, (_, j) => {
    let index = 0;
    for (let b = bytes - 1; b >= 0; b--) index = index * 256 + data[start + b * k + j];
    return index;
  });
}

const FRACTIONS = [
  1099511627776, 1052895941925, 1008256608221, 965509835819, 924575386327, 885376423200, 847839367509, 811893759832,
  777472127994, 744509860419, 712945084849, 682718552210, 653773525390, 626055672747, 599512966123, 574095583180,
];
export const WEIGHTS = Float64Array.from({ length: 256 }, (_, q) =>
  q === 255 ? 0 : FRACTIONS[q % 16] * 2 ** (-40 - (q >> 4)),
);

/** The label of region i of all, by the symbols of `logits` or `top`. */
export function symbolLabel(m, tensors, i) {
  const { labels, label_classes: listed } = tensors;
  const width = labels.shape.at(-1);
  const found = Float64Array.from(labels.data.subarray(i * width, (i + 1) * width), (q) => WEIGHTS[q]);
  if (m.labels.kind === "logits") return shares(found);
  const classes = m.classes.length;
  const label = new Float64Array(classes).fill(found[width - 1] / (classes - width + 1));
  indicesOf(listed, i).forEach((index, j) => (label[index] = found[j]));
  return shares(label);
}

/** The label of a patch, column ix and row iy, at (x, y) of a poster of height x width (section 8.1). */
export function patchLabel(m, grid, { ix, iy, x, y, height, width }) {
  const { labels, order, patches } = m;
  const classes = m.classes.length;
  const label = new Float64Array(classes);
  const [across, down] = labels.kind === "fixed" ? order.grid : labels.grid;
  const [px, py] = patches.grid;
  if (labels.pooling === "cell") {
    const column = Math.floor(((2 * ix + 1) * across) / (2 * px));
    const cell = Math.floor(((2 * iy + 1) * down) / (2 * py)) * across + column;
    return shares(grid.subarray(cell * classes, (cell + 1) * classes));
  }
  const [h, w] = patches.size;
  const [last, right] = [Math.floor(((y + h - 1) * down) / height), Math.floor(((x + w - 1) * across) / width)];
  for (let row = Math.floor((y * down) / height); row <= last; row++)
    for (let column = Math.floor((x * across) / width); column <= right; column++) {
      const cell = row * across + column;
      const weight = overlap(y, h, cellEdges(height, down, row)) * overlap(x, w, cellEdges(width, across, column));
      if (labels.kind === "fixed") label[order.cells[cell]] += weight;
      else if (weight) for (let c = 0; c < classes; c++) label[c] += weight * grid[cell * classes + c];
    }
  if (labels.kind === "learned") return shares(label);
  const most = label.reduce((a, b) => Math.max(a, b));
  return shares(label.map((pixels) => (pixels === most ? 1 : 0)));
}

const overlap = (start, size, [first, after]) => Math.max(0, Math.min(after, start + size) - Math.max(first, start));
