// Builds the page: one HTML file that fetches nothing. `node build.mjs` writes it, `node build.mjs --check` compares.

import zopfli from "@gfx/zopfli";
import { build, transform } from "esbuild";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync, inflateRawSync } from "node:zlib";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const PAGE = here("../../ddcodec/inspection/viewer.html");
const MOST = 60_000; // bytes of the page, as it is
const PACKED = /(id="packed">)([^<]*)/;

const source = (path) => readFile(here(`src/${path}`), "utf8");
const minified = async (text, loader) =>
  (await transform(text, { loader, minify: true, format: loader === "js" ? "iife" : undefined })).code.trim();

/** The script of page and worker, its style in it. */
async function script() {
  const style = {
    name: "style",
    setup: (bundler) =>
      bundler.onLoad({ filter: /\.css$/ }, async ({ path }) => ({
        contents: await minified(await readFile(path, "utf8"), "css"),
        loader: "text",
      })),
  };
  const bundle = await build({
    entryPoints: [here("src/main.js")],
    plugins: [style],
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
  });
  if (process.argv.includes("--sizes")) console.log(sizes(bundle.metafile));
  return bundle.outputFiles[0].text;
}

function sizes({ outputs }) {
  const [{ inputs }] = Object.values(outputs);
  const rows = Object.entries(inputs).map(([path, { bytesInOutput }]) => [bytesInOutput, path]);
  return rows
    .sort(([a], [b]) => b - a)
    .map((row) => row.join("  "))
    .join("\n");
}

/** The page with `packed` in it. */
async function page(packed) {
  const unpack = await minified(await source("unpack.js"), "js");
  const policy = [
    "default-src 'none'",
    `script-src 'sha256-${createHash("sha256").update(unpack).digest("base64")}' 'strict-dynamic'`,
    "img-src data: blob:",
    "worker-src blob:",
    "connect-src http: https:", // for ?url= alone; `ddcodec preview --html` makes it 'none'
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types ddset",
  ].join("; ");
  const html = await source("index.html");
  return html
    .replace("POLICY", () => policy)
    .replace("UNPACK", () => unpack)
    .replace("PACKED", () => packed);
}

const CODES = Array.from({ length: 94 }, (_, digit) => digit + (digit < 28 ? 32 : 33)); // of letters, all but "<"
const BLOCK = 9;
const GROUP = 11; // bytes, and letters that hold them

/** Bytes as letters that a page can hold: see src/unpack.js. */
function letters(bytes) {
  let out = "";
  for (let i = 0; i < bytes.length; i += BLOCK) {
    const block = Buffer.alloc(BLOCK);
    bytes.copy(block, 0, i);
    const group = [];
    for (let value = BigInt(`0x${block.toString("hex")}`); group.length < GROUP; value /= 94n)
      group.unshift(CODES[value % 94n]);
    out += String.fromCharCode(...group.slice(0, Math.ceil((Math.min(BLOCK, bytes.length - i) * GROUP) / BLOCK)));
  }
  return out;
}

function unpacked(text) {
  const bytes = Buffer.alloc(Math.ceil(text.length / GROUP) * BLOCK);
  for (let i = 0; i < text.length; i += GROUP) {
    const digits = [...text.slice(i, i + GROUP).padEnd(GROUP, "~")].map((letter) =>
      CODES.indexOf(letter.charCodeAt(0)),
    );
    const value = digits.reduce((sum, digit) => 94n * sum + BigInt(digit), 0n);
    bytes.write(value.toString(16).padStart(2 * BLOCK, "0"), (i / GROUP) * BLOCK, "hex");
  }
  return inflateRawSync(bytes).toString();
}

const compressed = (text) => promisify(zopfli.deflate)(Buffer.from(text), {}); // some percent smaller than zlib's

const code = await script();
if (process.argv.includes("--check")) {
  // The code is compared, not its packed form: that differs between versions of zlib.
  const [, , packed] = (await readFile(PAGE, "utf8").catch(() => "")).match(PACKED) ?? ["", "", ""];
  const same = packed && unpacked(packed) === code;
  if (!same || (await page(packed)) !== (await readFile(PAGE, "utf8"))) {
    console.error(`${PAGE} is not the build of its sources: run node examples/viewer/build.mjs`);
    process.exitCode = 1;
  }
} else {
  const html = await page(letters(Buffer.from(await compressed(code))));
  console.log(`${html.length} bytes, ${gzipSync(html, { level: 9 }).length} compressed`);
  if (html.length > MOST) {
    console.error(`the page may have ${MOST} bytes at most`);
    process.exitCode = 1;
  }
  await writeFile(PAGE, html);
}
