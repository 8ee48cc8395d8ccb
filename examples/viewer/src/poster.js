// A poster with its class grid, and the patch whose window follows pointer and arrow keys.

import { posterSize } from "../../../spec/js/samples.js";
import { canvasOf, el, number, percent, printable } from "./dom.js";
import { samplePanel } from "./sample.js";

const WINDOWS = 5000; // patches that are drawn all at once
const LEAST_LETTERS = 4; // of a name that is cut; a shorter piece says nothing
const HEIGHT = 0.7; // of the window, at most
const LARGEST = 32; // CSS pixels for one of the poster, at most

/** The part of the page that shows a file of posters. */
export function posterView(file, ask, { say, figures }) {
  const { manifest, columns, rows, length } = file;
  const [width, height] = manifest.patches.size.toReversed();
  const each = columns.length * rows.length;
  const stages = length / each;
  const [high, wide] = posterSize(manifest);
  let column = 0;
  let row = 0;
  let stage = 0;

  const overlay = el("canvas.overlay", { "aria-hidden": "true" });
  const board = el(
    "div.board",
    {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "poster",
      "aria-label": `Poster of ${wide} by ${high} pixels. Arrow keys move the patch window.`,
      onpointermove: point,
      onpointerdown: point,
      onkeydown: key,
    },
    overlay,
  );
  const grid = el("input", { type: "checkbox", checked: true, onchange: redraw });
  const windows = el("input", { type: "checkbox", onchange: redraw });
  const how = el("p.note", {}, "Drawing …");
  const tabs = stages > 1 ? stageTabs() : null;
  const panel = samplePanel(file, ask, { noun: "patch", describe, chosen: (index) => choose(index, true), say });
  const tools = el(
    "div.tools",
    {},
    el("label", {}, grid, " Classes"),
    each > WINDOWS ? null : el("label", {}, windows, " All windows"),
  );
  const node = el(
    "section.view",
    {},
    el("h2.hidden", {}, "Poster"),
    el("div.picture", {}, tabs, board, el("div.under", {}, tools, how)),
    figures,
    panel.node,
  );

  const resized = new ResizeObserver(redraw);
  resized.observe(board);
  fit();
  load();
  panel.show(0);
  addEventListener("resize", fit);

  async function load() {
    const asked = stage;
    const picture = await ask("picture", asked);
    if (asked !== stage) return;
    board.replaceChildren(canvasOf(picture, { "aria-hidden": "true" }), overlay);
    how.textContent = HOW[picture.how];
    fit();
  }

  /** As large as the column and the window allow, within reason. */
  function fit() {
    board.style.maxWidth = `${Math.min(wide * LARGEST, (HEIGHT * innerHeight * wide) / high)}px`;
    board.style.aspectRatio = `${wide} / ${high}`;
    redraw();
  }

  function describe(index, { x, y }) {
    const inside = index % each;
    const of = stages > 1 ? `Stage ${Math.floor(index / each) + 1}, ` : "";
    const middle = cellAt(x + width / 2, y + height / 2);
    const where = `${of}column ${Math.floor(inside / rows.length) + 1}, row ${(inside % rows.length) + 1}.`;
    const cell = `Its middle lies in the cell of ${printable(manifest.classes[middle], 40)}.`;
    return `${where[0].toUpperCase()}${where.slice(1)} ${cell}`;
  }

  function cellAt(x, y) {
    const [across, down] = manifest.order.grid;
    return manifest.order.cells[Math.floor((y * down) / high) * across + Math.floor((x * across) / wide)];
  }

  function choose(index, aloud) {
    const next = Math.floor(index / each);
    const inside = index % each;
    column = Math.floor(inside / rows.length);
    row = inside % rows.length;
    if (next !== stage) {
      stage = next;
      if (tabs) [...tabs.querySelectorAll("input")][stage].checked = true;
      load();
    }
    redraw();
    panel.show(index, aloud);
  }

  const move = (x, y, aloud) => choose(stage * each + x * rows.length + y, aloud);

  function point(event) {
    const box = board.getBoundingClientRect();
    const x = nearest(columns, ((event.clientX - box.left) * wide) / box.width - width / 2);
    const y = nearest(rows, ((event.clientY - box.top) * high) / box.height - height / 2);
    if (x !== column || y !== row) move(x, y, false);
  }

  function key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const ends = {
      Home: [0, row],
      End: [columns.length - 1, row],
      PageUp: [column, 0],
      PageDown: [column, rows.length - 1],
    };
    if (event.ctrlKey || event.altKey || event.metaKey || !(steps[event.key] ?? ends[event.key])) return;
    event.preventDefault();
    const [x, y] = ends[event.key] ?? [column + steps[event.key][0], row + steps[event.key][1]];
    move(Math.min(columns.length - 1, Math.max(0, x)), Math.min(rows.length - 1, Math.max(0, y)), true);
  }

  function stageTabs() {
    const one = (_, index) => {
      const share = manifest.codec.params.weights[index] / manifest.codec.params.weights.reduce((a, b) => a + b);
      const input = el("input", {
        type: "radio",
        name: "stage",
        checked: index === 0,
        onchange: () => choose(index * each + column * rows.length + row, true),
      });
      return el("label", {}, input, el("span", {}, `Stage ${index + 1} · ${percent(share)}`));
    };
    return el(
      "fieldset.tabs",
      {},
      el("legend.hidden", {}, "Stage, and its share of the samples"),
      Array.from({ length: stages }, one),
    );
  }

  function redraw() {
    const box = board.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    if (!box.width) return;
    overlay.width = Math.round(box.width * ratio);
    overlay.height = Math.round(box.height * ratio);
    const pen = overlay.getContext("2d");
    pen.scale(ratio, ratio);
    const scale = box.width / wide;
    if (grid.checked) drawGrid(pen, scale);
    if (windows.checked) {
      const pairs = columns.flatMap((x) => rows.map((y) => [x, y]));
      pen.strokeStyle = "rgb(255 255 255 / 0.5)";
      pen.lineWidth = 1;
      for (const [x, y] of pairs)
        pen.strokeRect(x * scale + 0.5, y * scale + 0.5, width * scale - 1, height * scale - 1);
    }
    drawWindow(pen, columns[column] * scale, rows[row] * scale, width * scale, height * scale);
  }

  function drawGrid(pen, scale) {
    const [across, down] = manifest.order.grid;
    const edge = (cell, length, cells) => Math.ceil((cell * length) / cells) * scale;
    pen.lineWidth = 1;
    for (const [shade, shift] of [
      ["rgb(0 0 0 / 0.45)", 1.5],
      ["rgb(255 255 255 / 0.8)", 0.5],
    ]) {
      pen.strokeStyle = shade;
      pen.beginPath();
      for (let x = 1; x < across; x++) line(pen, edge(x, wide, across) + shift, 0, 0, high * scale);
      for (let y = 1; y < down; y++) line(pen, 0, edge(y, high, down) + shift, wide * scale, 0);
      pen.stroke();
    }
    const cell = (wide * scale) / across;
    const size = cell < 60 ? 10 : 12;
    if ((high * scale) / down < size + 10) return;
    pen.font = `${size}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    manifest.order.cells.forEach((owner, index) => {
      const x = edge(index % across, wide, across) + 3;
      const y = edge(Math.floor(index / across), high, down) + 3;
      const text = fitting(pen, printable(manifest.classes[owner], 40), cell - 14);
      if (text === null) return;
      pen.fillStyle = "rgb(255 255 255 / 0.85)";
      pen.beginPath();
      pen.roundRect(x, y, pen.measureText(text).width + 8, size + 5, 4);
      pen.fill();
      pen.fillStyle = "#16202a";
      pen.fillText(text, x + 4, y + (size + 6) / 2);
    });
  }

  return { node, end: () => (resized.disconnect(), removeEventListener("resize", fit)) };
}

/** How pixels are shown, by the names of colour.js. */
export const HOW = {
  stored: "Shown as stored, in bytes.",
  pixels: "Shown from black, 0, to white, 1.",
  stretched: "Values reach beyond black and white: shown are their mean ± 2.5 standard deviations.",
  unwhitened: "Whitening is undone as far as that goes; shown are mean ± 2.5 standard deviations.",
  whitened: "Shown whitened, as stored: mean ± 2.5 standard deviations.",
};

function drawWindow(pen, x, y, width, height) {
  for (const [shade, size] of [
    ["#0b1a26", 5],
    ["#ffd23f", 2.5],
  ]) {
    pen.strokeStyle = shade;
    pen.lineWidth = size;
    pen.strokeRect(x + 1, y + 1, width - 2, height - 2);
  }
}

function line(pen, x, y, across, down) {
  pen.moveTo(x, y);
  pen.lineTo(x + across, y + down);
}

function fitting(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  const letters = [...text];
  while (letters.length && pen.measureText(`${letters.join("")}…`).width > room) letters.pop();
  return letters.length < LEAST_LETTERS ? null : `${letters.join("")}…`;
}

/** The place in an ascending list that is nearest to a value. */
function nearest(list, value) {
  let best = 0;
  list.forEach((one, index) => Math.abs(one - value) < Math.abs(list[best] - value) && (best = index));
  return best;
}
