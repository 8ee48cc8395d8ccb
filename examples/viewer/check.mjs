// Opens files in the built page with a real browser: node check.mjs [--few] [FOLDER]
//
// Every valid vector and every published file is shown without a message on the console, invalid ones say why. In
// FOLDER may lie large.ddset, hostile.ddset and hostile.html (the same in a page); downloads are put there.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PAGE = here("../../ddcodec/inspection/viewer.html");
const VECTORS = here("../../spec/vectors/");
const RESULTS = here("../results/");
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking " +
  "--disable-component-update --disable-sync";
const few = process.argv.includes("--few");
const folder = process.argv.slice(2).find((word) => !word.startsWith("--"));

const in_ = (path) =>
  readdirSync(path)
    .filter((name) => name.endsWith(".ddset"))
    .map((name) => join(path, name));
const put = (name) => join(folder, name);

const browser = await chromium.launch({ executablePath: BROWSER, args: FLAGS.split(" ") });
const said = []; // on the console
const times = [];

/** A tab that notes whatever it has to say. */
async function tab(settings = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...settings });
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => (said.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on(
    "request",
    (request) => /^(file|blob|data):|127\.0\.0\.1/.test(request.url()) || said.push(`request: ${request.url()}`),
  );
  return page;
}

/** Give the page a file and wait until it shows it: its first picture too, or what is wrong. */
async function open(page, path, shown = "#file .panel .bars li") {
  if (!page.url().startsWith("file:")) await page.goto(pathToFileURL(PAGE).href);
  const inputs = page.locator("input[type=file]:visible, #start input[type=file], #again input[type=file]");
  const start = performance.now();
  await inputs.first().setInputFiles(path);
  await page.waitForSelector(shown);
  times.push([Math.round(performance.now() - start), basename(path)]);
}

async function everyFileOpens() {
  const files = [...in_(join(VECTORS, "valid")), ...in_(RESULTS)];
  const page = await tab();
  for (const path of few ? files.filter((_, index) => index % 9 === 0) : files) {
    await page.goto(pathToFileURL(PAGE).href);
    await open(page, path);
    if (await page.locator(".board").count()) await page.waitForSelector(".board canvas:not(.overlay)");
    assert.match(await page.locator(".figures").innerText(), /all match/);
  }
  await page.close();
}

async function invalidFilesSayWhy() {
  const listed = JSON.parse(await readFile(join(VECTORS, "invalid.json"), "utf8"));
  const names = Object.keys(listed).filter((_, index) => index % (few ? 60 : 12) === 0);
  const page = await tab();
  for (const name of names) {
    await page.goto(pathToFileURL(PAGE).href);
    await open(page, join(VECTORS, "invalid", `${name}.ddset`), "#problem h1");
    const text = await page.locator("#problem").innerText();
    if (listed[name].code) assert.ok(text.includes(listed[name].code), `${name}: ${text}`);
    else assert.match(text, /cannot show this file/);
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    assert.ok(await page.locator(".drop").isVisible(), "one may try another file");
  }
  assert.ok(names.length >= (few ? 3 : 10));
  await page.close();
}

async function pointerAndKeysMoveTheWindow() {
  const page = await tab();
  await open(page, join(RESULTS, "cifar10-1.0.ddset"));
  const title = () => page.locator(".panel h3").innerText();
  const becomes = (text) =>
    page.waitForFunction((wanted) => document.querySelector(".panel h3").textContent === wanted, text);
  assert.equal(await title(), "Patch 1 of 18");
  const board = page.getByRole("application", { name: /Poster of 160 by 64 pixels/ });
  const box = await board.boundingBox();
  await page.mouse.move(box.x + box.width - 5, box.y + box.height - 5);
  await becomes("Patch 18 of 18");
  await board.focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  await becomes("Patch 1 of 18");
  await page.keyboard.press("ArrowRight");
  await becomes("Patch 3 of 18");
  await page.waitForFunction(() =>
    /^Patch 3 of 18\. Column 2, row 1\./.test(document.getElementById("say").textContent),
  );
  await page.getByRole("spinbutton", { name: "Number of the patch" }).fill("7");
  await page.keyboard.press("Enter");
  await becomes("Patch 7 of 18");
  await page.getByRole("button", { name: "Next patch" }).click();
  await becomes("Patch 8 of 18");
  for (const name of ["Classes", "All windows"]) await page.getByRole("checkbox", { name }).click();
  await page.close();
}

async function everythingIsReachedByKeys() {
  const page = await tab();
  await open(page, join(VECTORS, "valid", "images-chunks.ddset"));
  const reached = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => `${document.activeElement.tagName} ${document.activeElement.className}`));
  }
  for (const wanted of ["BUTTON thumb", "BUTTON step", "INPUT ", "SUMMARY "])
    assert.ok(reached.includes(wanted), `${wanted} in ${reached}`);
  await page.locator(".thumb").nth(1).focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector(".thumb:nth-child(2)[aria-current]");
  await page.close();
}

async function downloads() {
  const page = await tab();
  for (const [path, name] of [
    [join(RESULTS, "cifar10-1.0.ddset"), "poster"],
    [join(VECTORS, "valid", "ppodd-stages.ddset"), "stages"],
    [join(VECTORS, "valid", "lic-top.ddset"), "mosaics"],
  ]) {
    await page.goto(pathToFileURL(PAGE).href);
    await open(page, path);
    for (const [button, ending] of [
      ["Save PNG", "png"],
      ["Save all as npz", "npz"],
    ]) {
      const waiting = page.waitForEvent("download");
      await page.getByRole("button", { name: button }).click();
      await (await waiting).saveAs(put(`${name}.${ending}`));
    }
    if (await page.locator(".board").count()) {
      const canvas = page.locator(".board canvas:not(.overlay)");
      const url = await canvas.evaluate((node) => node.toDataURL("image/png"));
      await writeFile(put(`${name}-whole.png`), Buffer.from(url.split(",")[1], "base64"));
    }
  }
  await page.close();
}

async function textsStayTexts() {
  const page = await tab();
  for (const inside of [false, true]) {
    await page.goto(pathToFileURL(inside ? put("hostile.html") : PAGE).href);
    if (inside) await page.waitForSelector("#file .panel .bars li");
    else await open(page, put("hostile.ddset"));
    for (const summary of await page.locator(".tree summary").all()) await summary.click();
    assert.match(await page.locator("main").innerText(), /<\/script><script>/);
    assert.equal(await page.locator("img, iframe, main script").count(), 0);
  }
  await page.close();
}

/** Some places let no worker start: the page then does the work itself. */
async function aPageWithoutWorkersWorks() {
  const page = await tab();
  await page.addInitScript(() => delete self.Worker);
  await open(page, join(RESULTS, "digits-0.9.ddset"));
  await page.waitForSelector(".board canvas:not(.overlay)");
  await page.close();
}

/** While a worker is busy with a large file the page goes on drawing and answering. */
async function aLargeFileLeavesThePageFree() {
  const page = await tab();
  await page.goto(pathToFileURL(PAGE).href);
  await page.waitForSelector("#start");
  await page.evaluate(() => {
    const seen = (self.seen = { frames: 0, longest: 0, last: performance.now() });
    (function tick() {
      const now = performance.now();
      if (document.getElementById("file").hidden) {
        seen.frames += !document.getElementById("progress").hidden;
        seen.longest = Math.max(seen.longest, now - seen.last);
      }
      seen.last = now;
      requestAnimationFrame(tick);
    })();
  });
  await open(page, put("large.ddset"));
  const { frames, longest } = await page.evaluate(() => self.seen);
  console.log(`large file: ${frames} frames were drawn while it was read, the longest took ${Math.round(longest)} ms`);
  assert.ok(frames > 3);
  await page.close();
}

async function addresses() {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://127.0.0.1").pathname;
    const body =
      path === "/viewer.html"
        ? await readFile(PAGE)
        : path === "/digits.ddset"
          ? await readFile(join(RESULTS, "digits-0.9.ddset"))
          : null;
    response.writeHead(body ? 200 : 404, {
      "content-type": path.endsWith("html") ? "text/html" : "application/octet-stream",
    });
    response.end(body ?? "");
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const site = `http://127.0.0.1:${server.address().port}`;
  const page = await tab();
  await page.goto(`${site}/viewer.html?url=digits.ddset`);
  await page.waitForSelector("#file .panel .bars li");
  assert.equal(await page.locator("h1:visible").innerText(), "digits");
  for (const address of ["javascript:alert(1)", "data:text/html,x", "absent.ddset"]) {
    await page.goto(`${site}/viewer.html?url=${encodeURIComponent(address)}`);
    await page.waitForSelector("#problem h1");
    assert.match(await page.locator("#problem").innerText(), /could not be fetched/);
  }
  await page.close();
  server.close();
}

const steps = [
  everyFileOpens,
  invalidFilesSayWhy,
  pointerAndKeysMoveTheWindow,
  everythingIsReachedByKeys,
  aPageWithoutWorkersWorks,
  addresses,
];
if (folder) steps.push(downloads);
if (folder && existsSync(put("hostile.html"))) steps.push(textsStayTexts);
if (folder && existsSync(put("large.ddset"))) steps.push(aLargeFileLeavesThePageFree);
try {
  for (const step of steps) {
    await step();
    assert.deepEqual(said, [], `${step.name}: on the console`);
    console.log(`ok ${step.name}`);
  }
  times.sort(([a], [b]) => b - a);
  console.log(
    `${times.length} files; the slowest: ${times
      .slice(0, 4)
      .map(([time, name]) => `${name} ${time} ms`)
      .join(", ")}`,
  );
} finally {
  await browser.close();
}
