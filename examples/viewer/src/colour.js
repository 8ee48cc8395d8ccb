// What people can see of stored values, by the rule of docs/viewer.md: the reader's, after a whitening is undone.

import { rangeOf, rgba } from "../../../spec/js/colours.js";

const MOST_PRODUCTS = 4e9; // to undo a whitening: some seconds; larger pictures are shown as they are stored
const LEAST = 1e-3; // of the largest gain of a frequency; weaker ones are lost in rounding

/**
 * Stored picture `index` of a file as RGBA, and how it is shown: "stored" (bytes as they are), "pixels" (0 black, 1
 * white), "stretched" (mean - and + 2.5 deviations), "unwhitened" or "whitened" (the same, with the whitening undone or
 * left in).
 */
export function pictureOf(file, index) {
  const { image } = file.manifest;
  const { preprocessing } = image;
  const pixels = file.picture(index);
  if (pixels.data instanceof Uint8Array) return { ...file.pictureRgba(index), how: "stored" };
  if (preprocessing.kind !== "conv_whiten") {
    return { ...file.pictureRgba(index), how: file.range(index).bounded ? "pixels" : "stretched" };
  }
  const { channels, height, width } = pixels;
  if (2 * channels * height * width * (height + width) > MOST_PRODUCTS) {
    return { ...file.pictureRgba(index), how: "whitened" };
  }
  const unit = { ...pixels, data: unwhiten(pixels, preprocessing) };
  return { ...rgba(unit, image, rangeOf(unit, image)), how: "unwhitened" };
}

/**
 * Whitened pixels as they might have looked: each frequency is divided by what the kernel did to it, mirrored at the
 * edges. Mean and contrast of an image are lost, so those of a usual one stand in.
 */
function unwhiten({ channels, height, width, data: values }, spec) {
  const size = height * width;
  const down = cosines(height);
  const across = cosines(width);
  const downBack = transposed(down, height);
  const acrossBack = transposed(across, width);
  const spectrum = Array.from({ length: channels }, (_, c) => {
    const plane = new Float64Array(values.subarray(c * size, (c + 1) * size));
    return product(product(down, plane, height, height, width), acrossBack, height, width, width);
  });
  divide(spectrum, spec, height, width);
  const planes = spectrum.map((plane) =>
    product(product(downBack, plane, height, height, width), across, height, width, width),
  );
  let mean = 0;
  let squares = 0;
  for (const plane of planes) for (const value of plane) mean += value / values.length;
  for (const plane of planes) for (const value of plane) squares += (value - mean) ** 2;
  const scale = 0.22 / Math.max(1e-12, Math.sqrt(squares / values.length));
  const out = new Float32Array(values.length);
  planes.forEach((plane, c) => plane.forEach((value, i) => (out[c * size + i] = 0.5 + scale * (value - mean))));
  return out;
}

/** The orthonormal cosine transform (DCT-II) of an axis: row k holds frequency k. */
function cosines(n) {
  const table = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    const scale = Math.sqrt((k === 0 ? 1 : 2) / n);
    for (let i = 0; i < n; i++) table[k * n + i] = scale * Math.cos((Math.PI * (2 * i + 1) * k) / (2 * n));
  }
  return table;
}

const transposed = (table, n) => table.map((_, i) => table[(i % n) * n + Math.floor(i / n)]);

/** The product of a matrix n x m and a matrix m x p. */
function product(left, right, n, m, p) {
  const out = new Float64Array(n * p);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < m; k++) {
      const factor = left[i * m + k];
      for (let j = 0, to = i * p, from = k * p; j < p; j++) out[to + j] += factor * right[from + j];
    }
  }
  return out;
}

/** Multiply the colours of each frequency by the pseudo-inverse of what the kernel does to them. */
function divide(planes, { size, kernel }, height, width) {
  const n = planes.length;
  const down = waves(height, size);
  const across = waves(width, size);
  const gain = new Float64Array(n * n);
  const colours = new Float64Array(n);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      gain.fill(0);
      for (let dy = 0; dy < size; dy++) {
        for (let dx = 0; dx < size; dx++) {
          const wave = down[y * size + dy] * across[x * size + dx];
          for (let ab = 0; ab < n * n; ab++) gain[ab] += wave * kernel[(ab * size + dy) * size + dx];
        }
      }
      const inverse = pseudoInverse(gain, n);
      for (let a = 0; a < n; a++) {
        colours[a] = 0;
        for (let b = 0; b < n; b++) colours[a] += inverse[a * n + b] * planes[b][y * width + x];
      }
      for (let a = 0; a < n; a++) planes[a][y * width + x] = colours[a];
    }
  }
}

/** What each place of a kernel is multiplied by for each frequency of an axis. */
function waves(n, size) {
  const angle = (i) => (Math.PI * Math.floor(i / size) * ((i % size) - (size - 1) / 2)) / n;
  return Float64Array.from({ length: n * size }, (_, i) => Math.cos(angle(i)));
}

/** The pseudo-inverse of an n x n matrix M, n = 1 or 3: V S^-1 U' = V S^-2 V' M', with Jacobi's rotations of M'M. */
function pseudoInverse(m, n) {
  const square = new Float64Array(n * n);
  const vectors = new Float64Array(n * n);
  const out = new Float64Array(n * n);
  for (let a = 0; a < n; a++) {
    vectors[a * n + a] = 1;
    for (let b = 0; b < n; b++) for (let k = 0; k < n; k++) square[a * n + b] += m[k * n + a] * m[k * n + b];
  }
  for (let sweep = 0; sweep < 8; sweep++) {
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(square, vectors, n, p, q);
  }
  const values = Array.from({ length: n }, (_, k) => square[k * n + k]);
  const least = Math.max(...values) * LEAST ** 2;
  for (let k = 0; k < n; k++) {
    if (values[k] <= least) continue;
    for (let a = 0; a < n; a++) {
      for (let b = 0; b < n; b++) {
        let product = 0; // of M and vector k, at b
        for (let c = 0; c < n; c++) product += m[b * n + c] * vectors[c * n + k];
        out[a * n + b] += (vectors[a * n + k] * product) / values[k];
      }
    }
  }
  return out;
}

function rotate(square, vectors, n, p, q) {
  const off = square[p * n + q];
  if (off === 0) return;
  const half = (square[q * n + q] - square[p * n + p]) / (2 * off);
  const t = (half >= 0 ? 1 : -1) / (Math.abs(half) + Math.sqrt(half * half + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < n; k++) turn(square, k * n + p, k * n + q, c, s);
  for (let k = 0; k < n; k++) turn(square, p * n + k, q * n + k, c, s);
  for (let k = 0; k < n; k++) turn(vectors, k * n + p, k * n + q, c, s);
}

function turn(m, i, j, c, s) {
  const left = m[i];
  const right = m[j];
  m[i] = c * left - s * right;
  m[j] = s * left + c * right;
}
