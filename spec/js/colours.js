/** What people can see of stored values: 8-bit RGBA, by the rule of ddset.d.ts. */

import { clamp } from "./values.js";

/** From a stored float value to 0 black and 1 white: factor and term of each channel. */
function unitOf({ channels, preprocessing: p }) {
  const standardised = p.kind === "standardise";
  return Array.from({ length: channels }, (_, c) => (standardised ? [p.std[c], p.mean[c]] : [1, 0]));
}

const SLACK = 1 / 128; // that values may lie outside of 0..1 and still be those of plain images
const SPREAD = 2.5; // standard deviations around the mean that are shown of others

/** The values of a picture that are shown black and white; `bounded` where they are 0 and 1. */
export function rangeOf({ data, height, width }, image) {
  if (data instanceof Uint8Array) return { low: 0, high: 1, bounded: true };
  const plane = height * width;
  let [least, most, sum, squares] = [Infinity, -Infinity, 0, 0];
  unitOf(image).forEach(([factor, term], c) => {
    for (let i = c * plane; i < (c + 1) * plane; i++) {
      const value = data[i] * factor + term;
      if (value < least) least = value;
      if (value > most) most = value;
      sum += value;
    }
  });
  const mean = sum / data.length;
  unitOf(image).forEach(([factor, term], c) => {
    for (let i = c * plane; i < (c + 1) * plane; i++) squares += (data[i] * factor + term - mean) ** 2;
  });
  const bounded = image.preprocessing.kind !== "conv_whiten" && least >= -SLACK && most <= 1 + SLACK;
  const std = Math.max(Math.sqrt(squares / data.length), 1e-6);
  return bounded ? { low: 0, high: 1, bounded } : { low: mean - SPREAD * std, high: mean + SPREAD * std, bounded };
}

/** Pixels to show, `low` black and `high` white. */
export function rgba({ channels, height, width, data }, image, { low, high }) {
  const plane = height * width;
  const out = new Uint8ClampedArray(4 * plane).fill(255);
  const units = data instanceof Uint8Array ? [] : unitOf(image);
  for (let c = 0; c < 3; c++) {
    const source = channels === 1 ? 0 : c;
    const [factor, term] = units[source] ?? [1 / 255, 0];
    for (let i = 0; i < plane; i++) {
      const unit = (data[source * plane + i] * factor + term - low) / (high - low);
      out[4 * i + c] = Math.round(255 * clamp(unit, 0, 1));
    }
  }
  return { width, height, data: out };
}
