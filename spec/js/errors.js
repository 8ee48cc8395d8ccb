/** What is thrown for a file, the caps of section 11, and how both are said. */

/** `code` is a finding of section 13, or `unsupported`, `io`, `usage`. */
export class DDSetError extends Error {
  constructor(code, message, overLimit = false) {
    super(message);
    this.name = "DDSetError";
    this.code = code;
    Object.defineProperty(this, "overLimit", { value: overLimit }); // not to be shown
  }
}

/** Sizes in bytes. */
export const LIMITS = Object.freeze({
  fileBytes: 8 * 2 ** 30,
  headerBytes: 4 * 2 ** 20,
  nesting: 16,
  tensors: 100_000,
  dimensions: 8,
  decodedBytes: 4 * 2 ** 30,
  classes: 100_000,
  patches: 1_000_000,
  zstdWindow: 8 * 2 ** 20,
  contextSymbols: 4_194_304,
  teacherProducts: 1e14,
});

export function need(condition, message, code = "DDS-E010") {
  if (!condition) throw new DDSetError(code, message);
}

/** In a decoder that knows neither its tensor nor a number: a plain Error, which its caller turns into one of those. */
export function demand(good, why) {
  if (!good) throw new Error(why);
}

export function limit(value, most, message, code = "DDS-E040") {
  if (value > most) throw new DDSetError(code, `${message}, the limit is ${most}`, true);
}

export function unsupported(message) {
  throw new DDSetError("unsupported", message);
}

/** Zeros in a buffer of their own; a cap may be higher than what a machine has. */
export function allocate(size, what) {
  try {
    return new Uint8Array(size);
  } catch {
    throw new DDSetError("DDS-E040", `${what}: ${size} bytes are more than there is here`, true);
  }
}

/** A name from a file as it may stand in a message: short, quoted, without controls. */
export function shown(text) {
  const cut = String(text).slice(0, 60);
  const safe = cut.replace(/[^ -~]|['\\]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  return `'${safe}${text.length > 60 ? "..." : ""}'`;
}
