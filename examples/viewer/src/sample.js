// The panel of one sample: its image, its soft label as bars, the way to the next one.

import { canvasOf, el, number, percent, plural, printable, save } from "./dom.js";

const BARS = 8; // classes shown at first
const LEAST = 0.005; // of a label; smaller shares are told together

/** A panel for a file; `noun` is what a sample is called, `chosen(index)` hears of a choice made in it. */
export function samplePanel({ manifest, length }, ask, { noun, describe, chosen, say }) {
  const title = el("h3");
  const note = el("p.note");
  const frame = el("div.frame");
  const bars = el("ol.bars");
  const field = el("input", {
    type: "number",
    min: 1,
    max: length,
    "aria-label": `Number of the ${noun}`,
    onchange: typed,
  });
  const step = (text, label, by) =>
    el("button.step", { type: "button", "aria-label": label, onclick: () => go(index + by) }, text);
  const download = el("button", { type: "button", onclick: png }, "Save PNG");
  const controls = el(
    "div.controls",
    {},
    step("‹", `Previous ${noun}`, -1),
    field,
    step("›", `Next ${noun}`, 1),
    download,
  );
  const node = el(
    "section.panel",
    { "aria-label": `The chosen ${noun}` },
    frame,
    el("div.told", {}, title, note, controls, bars),
  );
  let index = -1;
  let wanted = -1;
  let busy = false;
  let loud = false;
  let canvas;

  function typed() {
    go(Math.min(length, Math.max(1, Math.round(Number(field.value)) || 1)) - 1);
  }

  function go(next) {
    chosen((next + length) % length);
  }

  /** Show a sample, and say it too; of several calls while one is on its way the last counts. */
  async function show(next, aloud = false) {
    [wanted, loud] = [next, aloud];
    if (busy) return;
    busy = true;
    try {
      let found;
      while (index !== wanted) {
        const asked = wanted;
        found = await ask("sample", asked);
        index = asked;
      }
      if (found) draw(found);
      if (found && loud) say(summary(found.label));
    } finally {
      busy = false;
    }
  }

  function draw({ picture, place, label }) {
    field.value = index + 1;
    title.textContent = `${noun[0].toUpperCase()}${noun.slice(1)} ${number(index + 1)} of ${number(length)}`;
    note.textContent = describe(index, place);
    download.hidden = !picture;
    frame.hidden = !picture;
    if (picture) {
      canvas = canvasOf(picture, { role: "img", "aria-label": title.textContent });
      frame.replaceChildren(canvas);
    }
    drawBars(label, BARS);
  }

  function drawBars(label, most) {
    const order = ordered(label);
    const shown = order.filter((owner, rank) => rank < most && (label[owner] >= LEAST || rank === 0));
    const rest = order.length - shown.length;
    const left = 1 - shown.reduce((sum, owner) => sum + label[owner], 0);
    bars.replaceChildren(...shown.map((owner) => bar(printable(manifest.classes[owner], 60), label[owner])));
    if (rest > 0) {
      const text = `${plural(rest, "other class")}: ${percent(Math.max(0, left))}`;
      const more = most < order.length && shown.length === most;
      const all = el("button.link", { type: "button", onclick: () => drawBars(label, most * 4) }, "more");
      bars.append(el("li.rest", {}, text, more ? " " : null, more ? all : null));
    }
  }

  /** For a screen reader: what the sample is and its largest shares. */
  function summary(label) {
    const best = ordered(label)
      .slice(0, 3)
      .filter((owner) => label[owner] >= LEAST);
    const shares = best.map((owner) => `${printable(manifest.classes[owner], 60)} ${percent(label[owner])}`);
    return `${title.textContent}. ${note.textContent} ${shares.join(", ")}`;
  }

  function png() {
    canvas.toBlob((blob) => save(blob, `${noun}-${index + 1}.png`), "image/png");
  }

  return { node, show };
}

function bar(name, share) {
  const level = el("i");
  level.style.width = `${100 * share}%`;
  return el(
    "li",
    {},
    el("span.name", { title: name }, name),
    el("span.value", {}, percent(share)),
    el("span.track", { "aria-hidden": "true" }, level),
  );
}

/** Classes by their share, the largest first; of equal ones in label order. */
const ordered = (label) => Array.from(label.keys()).sort((a, b) => label[b] - label[a] || a - b);
