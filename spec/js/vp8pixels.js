/** Pixels of VP8 (RFC 6386): prediction, inverse transform, loop filter, RGB. Sections are those of the RFC. */

import { clamp, toByte } from "./values.js";

// Modes: of a 4x4 block in the order of the tables; those of larger ones are the first four.
export const [MEAN, MOTION, VERTICAL, HORIZONTAL] = [0, 1, 2, 3];

/** A plane with a border: a row of 127 above and a column of 129 to the left (section 12.2). */
export function newPlane(across, down, size) {
  const stride = across * size + 8;
  const data = new Uint8Array(stride * (down * size + 1)).fill(127, 0, stride);
  for (let y = 1; y <= down * size; y++) data[y * stride + 3] = 129;
  return { data, stride, size, at: (x, y) => (y * size + 1) * stride + x * size + 4 };
}

const times1 = (v) => v + ((v * 20091) >> 16);
const times2 = (v) => (v * 35468) >> 16;

const half = new Int32Array(16); // of an inverse transform

/** Section 14.4: add the inverse transform of a block to the prediction at `at`. */
function addBlock({ data, stride }, at, c) {
  for (let i = 0; i < 4; i++) {
    const a = c[i] + c[8 + i];
    const b = c[i] - c[8 + i];
    const d = times2(c[4 + i]) - times1(c[12 + i]);
    const e = times1(c[4 + i]) + times2(c[12 + i]);
    half[4 * i] = a + e;
    half[4 * i + 1] = b + d;
    half[4 * i + 2] = b - d;
    half[4 * i + 3] = a - e;
  }
  for (let i = 0; i < 4; i++, at += stride) {
    const a = half[i] + 4 + half[8 + i];
    const b = half[i] + 4 - half[8 + i];
    const d = times2(half[4 + i]) - times1(half[12 + i]);
    const e = times1(half[4 + i]) + times2(half[12 + i]);
    data[at] = toByte(data[at] + ((a + e) >> 3));
    data[at + 1] = toByte(data[at + 1] + ((b + d) >> 3));
    data[at + 2] = toByte(data[at + 2] + ((b - d) >> 3));
    data[at + 3] = toByte(data[at + 3] + ((a - e) >> 3));
  }
}

export function predict([luma, ...chroma], x, y, across, { small, modes, chroma: mode }, coefficients) {
  const { data, stride } = luma;
  const start = luma.at(x, y);
  if (small) {
    // The pixels to the right of the row above; lower blocks of the last column take the same.
    const right = data.slice(start - stride + 16, start - stride + 20);
    if (y > 0 && x === across - 1) right.fill(data[start - stride + 15]);
    for (let i = 0; i < 16; i++) {
      const at = start + 4 * (i >> 2) * stride + 4 * (i & 3);
      predictSmall(luma, at, modes[i], (i & 3) === 3 ? right : data.slice(at - stride + 4, at - stride + 8));
      addBlock(luma, at, coefficients.subarray(16 * i));
    }
  } else {
    predictWhole(luma, x, y, modes[0]);
    for (let i = 0; i < 16; i++)
      addBlock(luma, start + 4 * (i >> 2) * stride + 4 * (i & 3), coefficients.subarray(16 * i));
  }
  chroma.forEach((plane, k) => {
    predictWhole(plane, x, y, mode);
    for (let i = 0; i < 4; i++) {
      const at = plane.at(x, y) + 4 * (i >> 1) * plane.stride + 4 * (i & 1);
      addBlock(plane, at, coefficients.subarray(16 * (16 + 4 * k + i)));
    }
  });
}

/** Sections 12.2 and 12.3: a block of 16x16 or 8x8. */
function predictWhole({ data, stride, size, at }, x, y, mode) {
  const start = at(x, y);
  let mean = 128;
  if (mode === MEAN && (x || y)) {
    let sum = 0;
    if (y) for (let i = 0; i < size; i++) sum += data[start - stride + i];
    if (x) for (let i = 0; i < size; i++) sum += data[start - 1 + i * stride];
    const n = size * (x && y ? 2 : 1);
    mean = Math.floor((sum + n / 2) / n);
  }
  const corner = data[start - stride - 1];
  for (let j = 0, row = start; j < size; j++, row += stride)
    for (let i = 0; i < size; i++) {
      const [above, left] = [data[start - stride + i], data[row - 1]];
      data[row + i] = [mean, toByte(left + above - corner), above, left][mode];
    }
}

// Of each directional mode the pixels: n is the smoothed edge pixel n, 16 + n the mean of n and n + 1.
const DIRECTIONS = {
  2: [6, 7, 8, 9, 6, 7, 8, 9, 6, 7, 8, 9, 6, 7, 8, 9],
  3: [4, 4, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1],
  4: [5, 6, 7, 8, 4, 5, 6, 7, 3, 4, 5, 6, 2, 3, 4, 5],
  5: [21, 22, 23, 24, 5, 6, 7, 8, 4, 21, 22, 23, 3, 5, 6, 7],
  6: [7, 8, 9, 10, 8, 9, 10, 11, 9, 10, 11, 12, 10, 11, 12, 13],
  7: [22, 23, 24, 25, 7, 8, 9, 10, 23, 24, 25, 11, 8, 9, 10, 12],
  8: [20, 5, 6, 7, 19, 4, 20, 5, 18, 3, 19, 4, 17, 2, 18, 3],
  9: [19, 3, 18, 2, 18, 2, 17, 1, 17, 1, 16, 16, 16, 16, 16, 16],
};

/** Section 12.3: a block of 4x4. The edge runs from the lowest pixel on the left, doubled, to the last above. */
function predictSmall({ data, stride }, at, mode, right) {
  const left = [3, 2, 1, 0].map((i) => data[at - 1 + i * stride]);
  const above = data.subarray(at - stride, at - stride + 4);
  const e = [left[0], ...left, data[at - stride - 1], ...above, ...right, right[3]];
  const mean = (left.reduce((a, b) => a + b) + above.reduce((a, b) => a + b) + 4) >> 3;
  for (let i = 0; i < 16; i++) {
    const n = DIRECTIONS[mode]?.[i];
    const place = at + (i >> 2) * stride + (i & 3);
    if (mode === MEAN) data[place] = mean;
    else if (mode === MOTION) data[place] = toByte(left[3 - (i >> 2)] + above[i & 3] - e[5]);
    else data[place] = n < 16 ? (e[n - 1] + 2 * e[n] + e[n + 1] + 2) >> 2 : (e[n - 16] + e[n - 15] + 1) >> 1;
  }
}

/** Section 15: the loop filter, macroblock after macroblock. */
export function filterFrame(planes, across, filters, simple) {
  filters.forEach(({ edge, interior, high, inner }, i) => {
    if (!edge) return;
    const [x, y] = [i % across, Math.floor(i / across)];
    for (const { data, stride, size, at } of simple ? planes.slice(0, 1) : planes) {
      const line = (start, step, along, limit, strong) => {
        for (let k = 0; k < size; k++, start += along) {
          if (simple) filterSimple(data, start, step, 2 * limit + 1);
          else filterNormal(data, start, step, 2 * limit + 1, interior, high, strong);
        }
      };
      const start = at(x, y);
      if (x) line(start, 1, stride, edge + 4, true);
      for (let k = 4; inner && k < size; k += 4) line(start + k, 1, stride, edge, false);
      if (y) line(start, stride, 1, edge + 4, true);
      for (let k = 4; inner && k < size; k += 4) line(start + k * stride, stride, 1, edge, false);
    }
  });
}

function filterSimple(data, q, step, limit) {
  const [p1, p0, q0, q1] = [data[q - 2 * step], data[q - step], data[q], data[q + step]];
  if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) <= limit) adjustTwo(data, q, step, p1, p0, q0, q1);
}

function adjustTwo(data, q, step, p1, p0, q0, q1) {
  const a = 3 * (q0 - p0) + clamp(p1 - q1, -128, 127);
  data[q - step] = toByte(p0 + clamp((a + 3) >> 3, -16, 15));
  data[q] = toByte(q0 - clamp((a + 4) >> 3, -16, 15));
}

function filterNormal(data, q, step, limit, interior, high, strong) {
  const [p2, p1, p0] = [data[q - 3 * step], data[q - 2 * step], data[q - step]];
  const [q0, q1, q2] = [data[q], data[q + step], data[q + 2 * step]];
  if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) > limit) return;
  if (Math.abs(data[q - 4 * step] - p2) > interior || Math.abs(data[q + 3 * step] - q2) > interior) return;
  if (Math.abs(p2 - p1) > interior || Math.abs(q2 - q1) > interior) return;
  if (Math.abs(p1 - p0) > interior || Math.abs(q1 - q0) > interior) return;
  if (Math.abs(p1 - p0) > high || Math.abs(q1 - q0) > high) return adjustTwo(data, q, step, p1, p0, q0, q1);
  if (strong) {
    const a = clamp(3 * (q0 - p0) + clamp(p1 - q1, -128, 127), -128, 127);
    const [a1, a2, a3] = [27, 18, 9].map((weight) => (weight * a + 63) >> 7);
    data[q - 3 * step] = toByte(p2 + a3);
    data[q - 2 * step] = toByte(p1 + a2);
    data[q - step] = toByte(p0 + a1);
    data[q] = toByte(q0 - a1);
    data[q + step] = toByte(q1 - a2);
    data[q + 2 * step] = toByte(q2 - a3);
    return;
  }
  const a = 3 * (q0 - p0);
  const [a1, a2] = [clamp((a + 4) >> 3, -16, 15), clamp((a + 3) >> 3, -16, 15)];
  const a3 = (a1 + 1) >> 1;
  data[q - 2 * step] = toByte(p1 + a3);
  data[q - step] = toByte(p0 + a2);
  data[q] = toByte(q0 - a1);
  data[q + step] = toByte(q1 - a3);
}

/** As libwebp does it: chroma brought to full size between its samples, weights 9, 3, 3, 1, colours in integers. */
export function toRgba([luma, u, v], width, height) {
  const out = new Uint8Array(4 * width * height).fill(255);
  const [across, down] = [(width + 1) >> 1, (height + 1) >> 1];
  const [start, from] = [luma.at(0, 0), u.at(0, 0)];
  let to = 0;
  for (let y = 0; y < height; y++) {
    const near = from + (y >> 1) * u.stride;
    const far = from + clamp((y >> 1) + (y & 1 ? 1 : -1), 0, down - 1) * u.stride;
    for (let x = 0; x < width; x++, to += 4) {
      const [a, b] = [x >> 1, clamp((x >> 1) + (x & 1 ? 1 : -1), 0, across - 1)];
      const light = (luma.data[start + y * luma.stride + x] * 19077) >> 8;
      const blue = between(u.data[near + a], u.data[near + b], u.data[far + a], u.data[far + b]);
      const red = between(v.data[near + a], v.data[near + b], v.data[far + a], v.data[far + b]);
      out[to] = toByte((light + ((red * 26149) >> 8) - 14234) >> 6);
      out[to + 1] = toByte((light - ((blue * 6419) >> 8) - ((red * 13320) >> 8) + 8708) >> 6);
      out[to + 2] = toByte((light + ((blue * 33050) >> 8) - 17685) >> 6);
    }
  }
  return out;
}

/** Chroma between four samples: the nearest, that beside it, that above or below it, and the last one. */
function between(near, beside, over, last) {
  return (((near + beside + over + last + 8 + 2 * (beside + over)) >> 3) + near) >> 1;
}
