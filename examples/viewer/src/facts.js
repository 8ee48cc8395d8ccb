// What a file says about itself: its figures, its bytes by part, its manifest as a tree.

import { bytes, el, number, percent, plural, printable, short } from "./dom.js";

const CHILDREN = 100; // of a long list, at a time
const INLINE = 60; // letters of a list that stands on one line
const PARTS = 12; // of the bar of bytes; more are told together

/** Figures side by side. */
export function figures(file) {
  const { manifest, bytes: parts, checked } = file;
  const classes = manifest.classes.length;
  const { height, width } = manifest.image;
  const pixels = pixelsOf(file);
  const tiles = [
    tile(
      "Images per class",
      short(pixels / (classes * height * width)),
      `${number(pixels)} pixels of ${plural(classes, "class")}, images of ${width} x ${height}`,
    ),
    tile("Bits per class", short((8 * parts.total) / classes), `${bytes(parts.total)}, everything included`),
    accuracy(manifest.measured),
    tile(
      "Digests",
      checked ? "✓ all match" : "not checked",
      checked ? "every stored byte and every decoded value is what was written" : "",
    ),
  ];
  return el("dl.figures", { "aria-label": "Figures" }, tiles);
}

const tile = (name, value, note) =>
  el("div", {}, el("dt", {}, name), el("dd", {}, el("strong", {}, value), el("small", {}, note)));

function accuracy(measured) {
  if (!measured) return tile("Accuracy", "—", "not recorded in the file");
  const [own, ...networks] = [measured].flat();
  const [mean, std] = [own.accuracy_mean, own.accuracy_std].map((share) => (100 * share).toFixed(1));
  const trained = `${plural(own.nets, "network")} trained on this file alone, ${plural(own.steps, "step")}`;
  const tested = `${plural(own.test_count, "test image")} of ${printable(own.test, 60)}`;
  const space = "\u00a0"; // that no line ends at
  const others = networks.filter((one) => !one.own).map((one) => one.accuracy_mean);
  const transfer = (100 * others.reduce((sum, one) => sum + one, 0)) / others.length;
  const beside = others.length ? `; ${transfer.toFixed(1)} % over ${plural(others.length, "other network")}` : "";
  const note = `of ${trained}, on ${tested}${beside}; as recorded in the file`;
  return tile("Accuracy", [mean, "±", std, "%"].join(space), note);
}

/** Stored pixels as papers count them; of a model's images those of an epoch. */
function pixelsOf({ manifest, kind, pictures }) {
  const { height, width } = manifest.image;
  if (kind === "none") return manifest.classes.length * manifest.codec.params.images * height * width;
  if (kind !== "poster") return pictures * height * width;
  const { codec, tensors } = manifest;
  const [high, wide] = codec.params.transform?.size ?? (tensors.poster ?? tensors.poster_1).shape.slice(1);
  return pictures * high * wide;
}

/** One line about a file. */
export function summary({ manifest, length, kind }, name, size) {
  const noun = { poster: "patch", images: "image", mosaics: "region", none: "sample" }[kind];
  const samples = plural(length, noun);
  return [
    name && printable(name, 120),
    manifest.codec.name,
    samples,
    bytes(size),
    `from ${plural(manifest.source.count, "image")} (${printable(manifest.source.split, 40)})`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** Bytes by part: a bar and its table. */
export function bytesView({ bytes: { total, header, tensors, preprocessing } }) {
  const parts = [["header", header], ...Object.entries(tensors)].sort((a, b) => b[1] - a[1]);
  if (parts.length > PARTS) {
    const rest = parts.splice(PARTS - 1);
    parts.push([`${rest.length} others`, rest.reduce((sum, [, size]) => sum + size, 0)]);
  }
  const bar = el("div.bar", { "aria-hidden": "true" });
  const rows = parts.map(([name, size], index) => {
    const piece = el(`i.part${index % 6}`);
    piece.style.flexGrow = size;
    bar.append(piece);
    const note =
      name === "header" ? el("small", {}, ` the manifest; ${number(preprocessing)} of it for the preprocessing`) : null;
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, el(`i.swatch.part${index % 6}`), printable(name, 64), note),
      el("td", {}, number(size)),
      el("td", {}, percent(size / total, 1)),
    );
  });
  const sum = el(
    "tr.sum",
    {},
    el("th", { scope: "row" }, "file"),
    el("td", {}, number(total)),
    el("td", {}, percent(1, 1)),
  );
  return el(
    "section.card",
    {},
    el("h2", {}, "Bytes"),
    bar,
    el("table", {}, el("caption.hidden", {}, "Bytes of the file by part"), el("tbody", {}, rows, sum)),
  );
}

/** A manifest as a tree that opens by pieces. */
export function treeView(manifest) {
  return el("section.card.tree", {}, el("h2", {}, "Manifest"), children(manifest));
}

function children(value) {
  const entries = Object.entries(value);
  const list = el("ul");
  let shown = 0;
  const more = el("button.link", { type: "button", onclick: extend });
  const last = el("li", {}, more);
  extend();
  return list;

  function extend() {
    last.remove();
    list.append(...entries.slice(shown, shown + CHILDREN).map(([key, child]) => entry(key, child)));
    shown += CHILDREN;
    if (shown >= entries.length) return;
    more.textContent = `${number(entries.length - shown)} more`;
    list.append(last);
  }
}

function entry(key, value) {
  const name = el("span.key", {}, printable(key, 80));
  if (value === null || typeof value !== "object") return el("li", {}, name, " ", scalar(value));
  const line = inline(value);
  if (line) return el("li", {}, name, " ", line);
  const size = Object.keys(value).length;
  const details = el("details", { ontoggle: () => details.children.length < 2 && details.append(children(value)) });
  details.append(
    el("summary", {}, name, " ", el("small", {}, Array.isArray(value) ? `[${number(size)}]` : `{${number(size)}}`)),
  );
  return el("li", {}, details);
}

const scalar = (value) =>
  el(`span.${typeof value}`, {}, typeof value === "string" ? `"${printable(value, 2000)}"` : String(value));

/** A short list of numbers or texts on one line, or null. */
function inline(value) {
  const entries = Object.values(value);
  if (!entries.length) return el("span.number", {}, JSON.stringify(value));
  if (!Array.isArray(value) || value.length > INLINE || entries.some((one) => typeof one === "object")) return null;
  const text = value.map((one) => JSON.stringify(one)).join(", ");
  return text.length <= INLINE ? el("span.number", {}, printable(`[${text}]`)) : null;
}
