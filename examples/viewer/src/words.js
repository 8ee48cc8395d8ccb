// What is wrong with a file, in plain words, by the numbers of section 13 of the specification.

const DAMAGED = "This file is damaged";
const OTHER = "This is no .ddset file";
const BROKEN = "This file breaks the rules of its format";

const CODES = {
  E001: [OTHER, "It is empty, too short, or larger than a browser can take."],
  E002: [OTHER, "It does not begin as one does, or it was cut short."],
  E003: [OTHER, "Its header cannot be read: it is something else, or it was damaged."],
  E004: [BROKEN, "Its header is not spelled in the one way that is allowed: another program has changed it."],
  E005: [OTHER, "It may be another kind of safetensors file."],
  E006: [BROKEN, "The list of its stored arrays makes no sense."],
  E007: [DAMAGED, "Its data are cut short, or something was put in between or behind."],
  E008: [BROKEN, "A stored array has a name that is not allowed."],
  E010: [BROKEN, "A field of its description is missing, unknown or wrong."],
  E011: [BROKEN, "Its classes, or their places, are not valid."],
  E012: [BROKEN, "Its pictures or patches have sizes that cannot be."],
  E013: [BROKEN, "It does not hold the arrays that its description lists."],
  E014: [BROKEN, "Its labels, or its preprocessing, are not valid."],
  E020: [BROKEN, "The levels of its numbers are not valid."],
  E021: [DAMAGED, "A compressed part does not unpack to what it should."],
  E022: [DAMAGED, "A stored symbol is out of range."],
  E023: [DAMAGED, "A stored number is not finite."],
  E024: [DAMAGED, "A coded part is not one that an encoder writes."],
  E025: [DAMAGED, "A picture in it cannot be read, or has another size than it should."],
  E030: [DAMAGED, "Its stored bytes are not those that were written."],
  E031: [DAMAGED, "One of its parts is not what was written."],
  E032: [DAMAGED, "Its content is not what was written."],
  E040: ["This file asks for too much", "It would need more memory or time than this page gives to a stranger's file."],
};

const KINDS = {
  unsupported: [
    "This page cannot show this file",
    "It needs a later reader than the one in this page, or something that this browser lacks.",
  ],
  io: ["This file could not be fetched", "Check the address. The other server must allow this page to read it (CORS)."],
  memory: ["There is not enough memory", "The browser stopped the work on this file."],
};

const UNKNOWN = ["This file could not be shown", "Something went wrong in this page."];

/** A title and a sentence for people about an error's code. */
export const inPlainWords = (code) => CODES[String(code).replace("DDS-", "")] ?? KINDS[code] ?? UNKNOWN;
