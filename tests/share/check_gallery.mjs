// Opens a gallery in a browser: node check_gallery.mjs SITE [FOLDER for screenshots]
// Fails where sorting does not sort, something is fetched from elsewhere or written to the console,
// or the page is wider than a phone. PLAYWRIGHT is the folder of playwright-core, CHROMIUM the browser.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT ?? "playwright-core");
const [site, shots] = process.argv.slice(2);
const address = pathToFileURL(resolve(site, "index.html")).href;
const troubles = [];
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

async function open(name, options) {
  const page = await (await browser.newContext(options)).newPage();
  page.on("console", (said) => troubles.push(`${name}: ${said.text()}`));
  page.on("pageerror", (error) => troubles.push(`${name}: ${error}`));
  page.on("requestfailed", (request) => troubles.push(`${name}: ${request.url()} failed`));
  page.on("request", (request) => {
    if (!request.url().startsWith("file:")) troubles.push(`${name}: fetches ${request.url()}`);
  });
  await page.goto(address);
  await page.evaluate(() => {
    for (const image of document.images) image.loading = "eager";
    return Promise.all([...document.images].map((image) => image.decode()));
  });
  if (shots) await page.screenshot({ path: resolve(shots, `${name}.png`), fullPage: true });
  return page;
}

const desk = { viewport: { width: 1280, height: 900 } };
const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true };
const page = await open("desk", desk);
const titles = await page.$$eval("th[aria-sort]", (all) => all.map((one) => one.textContent));
assert.equal(titles.length, 6);
for (const [index, title] of titles.entries()) {
  for (const turn of [1, -1]) {
    const head = page.locator("th", { hasText: title }).first();
    await head.locator("button").click();
    let order = await head.getAttribute("aria-sort");
    if (order !== (turn > 0 ? "ascending" : "descending")) {
      await head.locator("button").click(); // it was sorted by this one already
      order = await head.getAttribute("aria-sort");
    }
    assert.equal(await page.locator('th[aria-sort$="scending"]').count(), 1);
    const number = (await head.getAttribute("class")) === "n";
    const values = await page.$$eval("tbody tr", (rows, column) =>
      rows.map((row) => row.cells[column].dataset.value), index + 1);
    const known = values.filter((value) => value !== "");
    assert.deepEqual(values.slice(0, known.length), known, `${title}: unknown values come last`);
    for (let row = 1; row < known.length; row += 1) {
      const [a, b] = [known[row - 1], known[row]];
      const apart = number ? a - b : a.localeCompare(b, "en", { numeric: true });
      assert.ok((order === "ascending" ? apart : -apart) <= 0, `${title}: ${a}, ${b}`);
    }
  }
}
const paper = (one) => one.evaluate(() => getComputedStyle(document.body).backgroundColor);
assert.notEqual(await paper(await open("dark", { ...desk, colorScheme: "dark" })), await paper(page));
for (const colorScheme of ["light", "dark"]) {
  const small = await open(`phone-${colorScheme}`, { ...phone, colorScheme });
  assert.ok((await small.evaluate(() => document.documentElement.scrollWidth)) <= 360);
  const sizes = await small.$$eval("td, svg.narrow text", (all) =>
    all.map((one) => parseFloat(getComputedStyle(one).fontSize)));
  assert.ok(Math.min(...sizes) >= 12);
}
await browser.close();
assert.deepEqual(troubles, []);
