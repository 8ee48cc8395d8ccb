/** A poster that is stored as coefficients of a cosine transform of 8 x 8 pixels (section 8.1). */

const NORMS = [0.5773502691896258, 0.7071067811865476, 0.4082482904638631];

/** A[u][y] at 8 u + y: integers, and none is near where rounding turns, so any cosine will do. */
const WAVES = Array.from({ length: 64 }, (_, i) =>
  Math.round((i < 8 ? Math.SQRT1_2 : 1) * 2048 * Math.cos((Math.PI / 16) * (2 * (i % 8) + 1) * (i >> 3))),
);

/** The sums of waves along the last axis of 8 x 8 values; the axes change places. */
function summed(values) {
  const out = new Float64Array(64);
  for (let i = 0; i < 64; i++) for (let v = 0; v < 8; v++) out[i] += values[(i % 8) * 8 + v] * WAVES[v * 8 + (i >> 3)];
  return out;
}

/** The pixels (C, H, W), rounded once to binary32; sums of waves are whole numbers, exact. */
export function synthesised({ data, shape: [channels, down, across] }, { size: [height, width], step }) {
  const out = new Float32Array(channels * height * width);
  const scales = channels === 3 ? NORMS.map((norm) => step * norm) : [step];
  for (let block = 0; block < down * across; block++) {
    const [top, left] = [8 * Math.floor(block / across), 8 * (block % across)];
    const planes = Array.from({ length: channels }, (_, c) => {
      const at = 64 * (c * down * across + block);
      return summed(summed(Float64Array.from(data.subarray(at, at + 64), (symbol) => symbol - 128)));
    });
    for (let y = 0; y < 8 && top + y < height; y++)
      for (let x = 0; x < 8 && left + x < width; x++) {
        const [a, b, c] = planes.map((plane, i) => scales[i] * plane[8 * y + x]);
        const values = channels === 3 ? [a + b + c, a - 2 * c, a - b + c] : [a];
        values.forEach((value, i) => (out[(i * height + top + y) * width + left + x] = value / 2 ** 24));
      }
  }
  return out;
}
