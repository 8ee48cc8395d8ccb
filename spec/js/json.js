/** Canonical JSON (../ddset-1.md, section 2): strict, and aware of how every token is spelt. */

import { need, shown } from "./errors.js";

/** A number spelt with a point or an exponent whose value is an integer: it is no integer. */
export class Real extends Number {}

/** A number as Python spells it. */
function spelt(x) {
  if (Object.is(x, -0)) return "-0.0";
  const [digits, exponent] = x.toExponential().split("e");
  if (exponent >= -4 && exponent < 16) return Number.isInteger(x) ? `${x}.0` : String(x);
  return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** Less than 0 where `a` comes before `b` by code points; UTF-16 orders surrogates differently. */
function order(a, b) {
  for (let i = 0; ; i++) {
    const [x, y] = [a.codePointAt(i) ?? -1, b.codePointAt(i) ?? -1];
    if (x !== y || x < 0) return x - y;
    if (x > 0xffff) i++;
  }
}

/**
 * Parse strictly (DDS-E003). Gives the value, objects without a prototype; whether every token is
 * spelt canonically; and the members of the outer object as they are written.
 */
export function parseJson(text, nesting) {
  let [at, canonical, members] = [0, true, []];
  const fail = (why) => need(false, `header: not strict JSON: ${why} at character ${at}`, "DDS-E003");
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  };
  const blank = () => {
    if (match(/[ \t\n\r]+/y)) canonical = false;
  };
  const string = () => {
    const found = match(/"((?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"/y);
    if (!found) fail("a string is expected, or damaged");
    const escaped = found[1].includes("\\");
    const value = escaped ? JSON.parse(found[0]) : found[1];
    if (/[\ud800-\udfff]/u.test(value)) fail("a lone surrogate");
    if (escaped) canonical &&= JSON.stringify(value) === found[0];
    return value;
  };
  const number = () => {
    const found = match(/-?(?:0|[1-9][0-9]*)((?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)/y);
    if (!found) fail("a value is expected");
    const value = Number(found[0]);
    if (!found[1]) {
      const whole = found[0].length > 17 ? 2n ** 64n : BigInt(found[0]);
      if (whole > 2n ** 53n || whole < -(2n ** 53n)) fail("an integer is beyond 2^53");
      if (found[0] === "-0") canonical = false;
      return value || 0;
    }
    if (!Number.isFinite(value)) fail("a number is beyond the range of binary64");
    canonical &&= found[0] === spelt(value);
    return Number.isInteger(value) ? new Real(value) : value;
  };
  const list = (close, depth, item) => {
    if (depth > nesting) fail(`nested deeper than ${nesting} levels`);
    at++;
    blank();
    if (text[at] !== close) {
      for (;;) {
        item();
        blank();
        if (text[at] !== ",") break;
        at++;
        blank();
      }
    }
    if (text[at++] !== close) fail(`'${close}' or ',' is expected`);
  };
  const value = (depth) => {
    if (text[at] === "{") {
      const object = Object.create(null);
      let last = null;
      list("}", depth, () => {
        const start = at;
        const key = string();
        if (key in object) fail(`the key ${shown(key)} stands twice`);
        if (last !== null && order(last, key) > 0) canonical = false;
        last = key;
        blank();
        if (text[at++] !== ":") fail("':' is expected");
        blank();
        object[key] = value(depth + 1);
        if (depth === 1) members.push([key, text.slice(start, at)]);
      });
      return object;
    }
    if (text[at] === "[") {
      const found = [];
      list("]", depth, () => found.push(value(depth + 1)));
      return found;
    }
    if (text[at] === '"') return string();
    const word = match(/true|false|null/y);
    return word ? JSON.parse(word[0]) : number();
  };
  blank();
  const found = value(1);
  blank();
  if (at < text.length) fail("more than one value");
  return { value: found, canonical, members };
}
