// The page: where a file comes from, and which parts show it.

import { bytesView, figures, summary, treeView } from "./facts.js";
import { el, printable, save } from "./dom.js";
import { galleryView, modelView } from "./gallery.js";
import { connect } from "./link.js";
import { posterView } from "./poster.js";
import { inPlainWords } from "./words.js";

const at = (id) => document.getElementById(id);
const VIEWS = { poster: posterView, images: galleryView, mosaics: galleryView, none: modelView };

const INTRODUCTION =
  "It holds a distilled data set: a few pictures and soft labels from which a network learns what it would learn " +
  "from thousands of images. The file is read and checked in this page, and sent nowhere.";

let link;
let view;
let spoken = 0;

export function start() {
  layOut();
  for (const input of document.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      if (input.files.length) openBlob(input.files[0]);
      input.value = "";
    });
  }
  at("fetch").addEventListener("submit", (event) => {
    event.preventDefault();
    openUrl(new FormData(event.target).get("url"));
  });
  acceptDrops();
  const inside = at("inside");
  const url = new URLSearchParams(location.search).get("url");
  if (inside) open({ base64: inside.textContent }, inside.dataset.name);
  else if (url !== null) openUrl(url);
}

/** The page before there is a file. */
function layOut() {
  const choose = () => el("input.hidden", { type: "file" });
  const address = el("input", {
    type: "url",
    name: "url",
    required: true,
    placeholder: "https://…/cifar10.ddset",
    autocomplete: "off",
    spellcheck: "false",
  });
  document.body.append(
    el(
      "header.top",
      {},
      el("p", {}, el("strong", {}, "ddset viewer"), " ", el("span", {}, "nothing leaves this page")),
      el("label.button", { hidden: true, id: "again" }, choose(), " Open another"),
    ),
    el(
      "main",
      {},
      el("section", { id: "problem", role: "alert", hidden: true }),
      el(
        "section",
        { id: "start" },
        el("h1", {}, "Look into a .ddset file"),
        el("p", {}, INTRODUCTION),
        el(
          "label.drop",
          {},
          choose(),
          el("strong", {}, "Choose a file"),
          el("span", {}, "or drop it anywhere on this page"),
        ),
        el("form", { id: "fetch" }, el("label", {}, "or give its address ", address), el("button", {}, "Open")),
      ),
      el(
        "section",
        { id: "progress", hidden: true },
        el("p", { id: "stage" }, "Reading …"),
        el("progress", { max: 1, "aria-labelledby": "stage" }),
      ),
      el("div", { id: "file", hidden: true }),
    ),
    el("p.hidden", { id: "say", role: "status" }),
  );
}

function acceptDrops() {
  const over = (event, yes) => {
    event.preventDefault();
    document.body.classList.toggle("over", yes);
  };
  addEventListener("dragover", (event) => over(event, true));
  addEventListener("dragleave", (event) => over(event, event.relatedTarget !== null));
  addEventListener("drop", (event) => {
    over(event, false);
    if (event.dataTransfer.files.length) openBlob(event.dataTransfer.files[0]);
  });
}

const openBlob = (blob) => open({ blob }, blob.name);

function openUrl(text) {
  let url;
  try {
    url = new URL(text, location.href);
  } catch {
    url = { protocol: "" };
  }
  if (!/^https?:$/.test(url.protocol)) {
    return showProblem({
      code: "io",
      message: `${printable(text)} is not an address that begins with http: or https:`,
    });
  }
  return open({ url: url.href }, url.pathname.split("/").pop());
}

async function open(source, name) {
  link?.end();
  view?.end?.();
  const mine = (link = connect());
  show("progress");
  const bar = document.querySelector("progress");
  bar.removeAttribute("value");
  try {
    const file = await mine.ask("open", source, (share) => (bar.value = share));
    if (mine === link) showFile(file, name, mine);
  } catch (problem) {
    if (mine === link) showProblem(problem);
  }
}

function showFile(file, name, mine) {
  const { manifest } = file;
  /** What goes wrong later is shown in place of the file; whoever asked waits in vain. */
  const ask = (question, given) =>
    mine.ask(question, given).catch((problem) => {
      if (mine === link) showProblem(problem);
      return new Promise(() => {});
    });
  const heading = el("h1", { tabindex: -1 }, printable(manifest.source.name, 120));
  const all = el("button", { type: "button", onclick: () => saveAll(mine, all, name) }, "Save all as npz");
  view = VIEWS[file.kind](file, ask, { say, figures: figures(file) });
  const license = manifest.license ? el("p.note", {}, `License: ${printable(manifest.license)}`) : null;
  at("file").replaceChildren(
    el("div.head", {}, el("div", {}, heading, el("p.note", {}, summary(file, name, file.bytes.total)), license), all),
    view.node,
    el("div.pair", {}, bytesView(file), treeView(manifest)),
  );
  document.title = `${printable(name || manifest.source.name, 80)} · ddset viewer`;
  show("file");
  heading.focus({ preventScroll: true });
}

async function saveAll({ ask }, button, name) {
  const text = button.textContent;
  button.disabled = true;
  try {
    const blob = await ask("npz", null, (share) => (button.textContent = `${Math.round(100 * share)} %`));
    if (blob) save(blob, `${(name || "data").replace(/\.ddset$/, "")}.npz`);
    say(blob ? "Saved." : "");
    button.textContent = blob ? text : "Too large for a browser: use ddcodec decode";
    button.disabled = !blob;
  } catch (problem) {
    button.textContent = `Not saved: ${printable(problem.message)}`;
  }
}

function showProblem({ code, message }) {
  const [title, sentence] = inPlainWords(code);
  const number = /^DDS-E\d+$/.test(code) ? code : "";
  at("problem").replaceChildren(
    el("h1", { tabindex: -1 }, title),
    el("p", {}, sentence),
    el("p.note", {}, number ? el("strong.code", {}, number) : null, number ? " " : null, printable(message, 400)),
  );
  document.title = `${title} · ddset viewer`;
  show("problem");
  at("problem").firstChild.focus({ preventScroll: true });
}

/** Show one part; where something went wrong one may begin again. */
function show(part) {
  for (const id of ["progress", "problem", "file"]) at(id).hidden = id !== part;
  at("start").hidden = part !== "problem";
  at("start").classList.toggle("again", part === "problem");
  at("again").hidden = part === "problem";
  if (part !== "problem") scrollTo(0, 0);
}

/** Tell a screen reader, once what is on the way has settled. */
function say(text) {
  clearTimeout(spoken);
  spoken = setTimeout(() => (at("say").textContent = text), 250);
}
