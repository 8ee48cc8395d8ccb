// Stored images or mosaics in a grid by class, and the chosen one with its label.

import { canvasOf, el, number, percent, plural, printable } from "./dom.js";
import { HOW } from "./poster.js";
import { samplePanel } from "./sample.js";

const FIRST = 10; // pictures of a class shown at first
const MORE = 60; // with every press of a button
const CLASSES = 12; // shown at first
const REGIONS = 17; // of a mosaic; more get no buttons

/** The part of the page that shows a file of images or mosaics. */
export function galleryView(file, ask, { say, figures }) {
  const { manifest, pictures, length } = file;
  const regions = length / pictures;
  const mosaics = file.kind === "mosaics";
  const noun = mosaics ? "mosaic" : "image";
  const parts = el("div.regions", { role: "group", "aria-label": "Parts of the mosaic" });
  const panel = samplePanel(file, ask, {
    noun: regions > 1 ? "region" : noun,
    describe,
    chosen: (index) => choose(index, true),
    say,
  });
  const list = el("div.classes");
  const how = el("p.note");
  const search = el("input", {
    type: "search",
    hidden: true,
    placeholder: "Find a class",
    "aria-label": "Find a class",
    oninput: () => fill(CLASSES),
  });
  const node = el(
    "section.view.gallery",
    {},
    el("h2.hidden", {}, mosaics ? "Mosaics" : "Images"),
    figures,
    el("div.picture", {}, search, list, how),
    panel.node,
  );
  let groups = [];
  let current = 0;

  if (regions > 1 && regions <= REGIONS)
    panel.node.querySelector(".told").insertBefore(parts, panel.node.querySelector(".bars"));
  sort().then(() => choose(regions - 1, false));
  ask("picture", 0).then((picture) => (how.textContent = HOW[picture.how]));

  async function sort() {
    list.replaceChildren(el("p.note", { role: "status" }, "Sorting by class …"));
    const owners = await ask("classes", null);
    if (owners === null) {
      const all = Array.from({ length: pictures }, (_, index) => index);
      groups = [
        {
          name: `All ${plural(pictures, noun)}`,
          members: all,
          note: "A network in the file gives the labels; choose one to compute its label.",
        },
      ];
    } else {
      groups = manifest.classes.map((name) => ({ name: printable(name, 60), members: [] }));
      owners.forEach((owner, index) => groups[owner].members.push(index));
    }
    search.hidden = groups.length <= CLASSES;
    fill(CLASSES);
  }

  function fill(most) {
    const asked = search.value.trim().toLowerCase();
    const found = groups.filter(({ name, members }) => members.length && name.toLowerCase().includes(asked));
    list.replaceChildren(...found.slice(0, most).map(section));
    if (!found.length) list.append(el("p.note", {}, "No class of this name has images."));
    const rest = found.length - most;
    if (rest > 0)
      list.append(
        el("button.wide", { type: "button", onclick: () => fill(most + 2 * CLASSES) }, `${number(rest)} more classes`),
      );
  }

  function section({ name, members, note }) {
    const grid = el("div.thumbs");
    const more = el("button.link", { type: "button", onclick: () => extend(MORE) });
    let shown = 0;
    extend(FIRST);
    return el(
      "section",
      {},
      el("h3", {}, name, " ", el("small", {}, plural(members.length, noun))),
      note ? el("p.note", {}, note) : null,
      grid,
      more,
    );

    async function extend(count) {
      const next = members.slice(shown, shown + count);
      shown += next.length;
      more.hidden = shown >= members.length;
      more.textContent = `${number(members.length - shown)} more`;
      const drawn = await ask("thumbnails", next);
      grid.append(...drawn.map((picture, i) => thumbnail(next[i], picture)));
    }
  }

  function thumbnail(index, picture) {
    const shares = picture.best.map(
      ({ owner, share }) => `${printable(manifest.classes[owner], 30)} ${percent(share)}`,
    );
    const name = `${noun[0].toUpperCase()}${noun.slice(1)} ${index + 1}`;
    const label = [name, ...shares].join(", ");
    const caption = picture.best.length ? percent(picture.best[0].share) : null;
    return el(
      "button.thumb",
      {
        type: "button",
        "aria-label": label,
        title: label,
        "data-picture": index,
        "aria-current": index === current && "true",
        onclick: () => choose((index + 1) * regions - 1, true),
      },
      canvasOf(picture),
      caption && el("small", {}, caption),
    );
  }

  function choose(sample, aloud) {
    const index = (current = Math.floor(sample / regions));
    list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    list.querySelector(`[data-picture="${index}"]`)?.setAttribute("aria-current", "true");
    panel.show(sample, aloud);
    if (parts.isConnected) divide(index, sample);
  }

  function divide(index, sample) {
    const one = (_, region) => {
      const text = region === regions - 1 ? "whole" : String(region + 1);
      const here = index * regions + region;
      return el(
        "button",
        { type: "button", "aria-pressed": String(here === sample), onclick: () => choose(here, true) },
        text,
      );
    };
    parts.replaceChildren(...Array.from({ length: regions }, one));
  }

  function describe(index, { x, y, width, height }) {
    if (regions === 1) return "";
    const region = index % regions;
    const which = `Mosaic ${number(Math.floor(index / regions) + 1)} of ${number(pictures)}`;
    return region === regions - 1
      ? `${which}, as a whole.`
      : `${which}, its cell of ${width} x ${height} pixels at (${x}, ${y}), enlarged.`;
  }

  return { node };
}

/** The part of the page that shows a file whose images only a diffusion model makes. */
export function modelView(file, ask, { say, figures }) {
  const { manifest, needs, fingerprints } = file;
  const { params } = manifest.codec;
  const images = manifest.classes.length * params.images;
  const noun = "sample";
  const panel = samplePanel(file, ask, {
    noun,
    describe: () => "Its image is made by the model; its label is in the file.",
    chosen: (index) => panel.show(index, true),
    say,
  });
  const tile = (picture, index) =>
    el(
      "figure.thumb",
      {},
      canvasOf(picture, { role: "img", "aria-label": "4 by 4 grey values" }),
      el("figcaption", {}, printable(manifest.classes[index], 40)),
    );
  const revision = needs.revision ? `, revision ${printable(needs.revision, 60)}` : "";
  const node = el(
    "section.view.gallery",
    {},
    figures,
    el(
      "div.picture",
      {},
      el("h2", {}, "A diffusion model makes the images"),
      el(
        "p",
        {},
        `This file holds prompts, seeds and labels for ${plural(images, "image")}. `,
        "The model that makes them is not in it: ",
        el("strong", {}, printable(needs.name, 120)),
        `${revision}, ${number(needs.bytes)} bytes. This page does not have it.`,
      ),
      el(
        "p",
        {},
        "Prompt: ",
        el("code", {}, printable(params.prompt, 300)),
        manifest.tensors.tokens
          ? ", with a learned token of the class in place of *."
          : ", with the name of the class in place of *.",
      ),
      el("h3", {}, "Fingerprints ", el("small", {}, "the first image of each class, in 4 x 4 grey values")),
      el("div.thumbs", {}, fingerprints.map(tile)),
    ),
    panel.node,
  );
  panel.show(0);
  return { node };
}
