// Elements, made of text alone: nothing in this page is ever parsed as markup.

/** An element: `spec` is "tag.class.class", `has` its attributes and listeners (`onclick`). */
export function el(spec, has = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(has)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
}

/** A canvas that holds RGBA pixels one to one. */
export function canvasOf({ width, height, data }, has = {}) {
  const canvas = el("canvas", { width, height, ...has });
  canvas.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
  return canvas;
}

/** Hand a Blob to the user as a file. */
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const number = (value) => value.toLocaleString("en");
export const bytes = (value) => (value === 1 ? "1 byte" : `${number(value)} bytes`);
export const plural = (count, one) => `${number(count)} ${one}${count === 1 ? "" : /(s|ch)$/.test(one) ? "es" : "s"}`;

/** A share of 1 in percent, with so many decimals. */
export function percent(share, decimals = share < 0.0995 ? 1 : 0) {
  const text = (100 * share).toFixed(decimals);
  return `${share > 1e-6 && Number(text) === 0 ? `< ${10 ** -decimals}` : text === "0.0" ? 0 : text} %`;
}

/** Up to three significant digits, without an exponent: 0.891, 12.3, 1,024. */
export const short = (value) => (value >= 100 ? number(Math.round(value)) : String(Number(value.toPrecision(3))));

/** A text of a file on one line, its invisible characters shown, cut where it is long. */
export function printable(text, most = 200) {
  const shown = String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) =>
    c === "\u200d" ? c : `\\u{${c.codePointAt(0).toString(16)}}`,
  );
  const letters = [...shown];
  return letters.length > most ? letters.slice(0, most).join("") + "…" : shown;
}
