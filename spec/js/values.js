/** Kinds of JSON values, and arithmetic that several modules share. */

import { Real } from "./json.js";

export const product = (numbers) => numbers.reduce((a, b) => a * b, 1);
export const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);
export const sameSet = (keys, wanted) => same([...keys].sort(), [...wanted].sort());
export const has = (object, key) => Object.hasOwn(object, key);
export const ceil = (a, b) => Math.ceil(a / b);
/** To the nearest integer, ties to even; what is 2^51 or more is limited by every caller anyway. */
export const rint = (x) => x + 6755399441055744 - 6755399441055744;
export const clamp = (x, low, high) => (x < low ? low : x > high ? high : x);
export const toByte = (x) => (x < 0 ? 0 : x > 255 ? 255 : x);
/** A little-endian number of some bytes; those behind the end are 0. */
export const little = (data, at, bytes) => {
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (data[at + i] ?? 0);
  return value;
};

export const isObject = (v) => v !== null && typeof v === "object" && !Array.isArray(v) && !(v instanceof Real);
/** A list in `measured`: the file's own network, then others. */
export const isEntries = (v) => Array.isArray(v) && v.length >= 2 && v.length <= 100 && v.every(isObject);
export const isInteger = (v, low, high) => typeof v === "number" && Number.isInteger(v) && v >= low && v <= high;
export const isNumber = (v, low, high) => (typeof v === "number" || v instanceof Real) && v >= low && v <= high;
export const inside = (v, low, high) => isNumber(v, low, high) && v > low && v < high;
export const isSide = (v) => isInteger(v, 1, 2 ** 20);
export const isPair = (v) => Array.isArray(v) && v.length === 2 && v.every(isSide);
export const isHex = (v, length) => typeof v === "string" && v.length === length && /^[0-9a-f]*$/.test(v);
export const isWord = (v) => typeof v === "string" && /^[a-z][a-z0-9_]{0,39}$/.test(v);
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
export const isText = (v, most = 200) => typeof v === "string" && v !== "" && [...v].length <= most && !HIDDEN.test(v);

export const count =
  (high = 2 ** 53, low = 1) =>
  (v) =>
    isInteger(v, low, high);
export const between = (low, high) => (v) => isNumber(v, low, high);
export const oneOf =
  (...words) =>
  (v) =>
    typeof v === "string" && words.includes(v);
export const isFlag = (v) => typeof v === "boolean";

/** A copy with plain numbers, for all who need not know how a number was spelt. */
export function plain(value) {
  if (value instanceof Real) return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  const out = Object.create(null);
  for (const key of Object.keys(value)) out[key] = plain(value[key]);
  return out;
}
