// Arrays as NumPy reads them: .npy members in a zip without compression.

/** An array member of a file: its name, shape and values in parts, each a Float32Array, in C order. */
export const array = (name, shape, parts) => ({ name, descr: "<f4", shape, parts });

/** A member of texts (n,), as NumPy's fixed-width Unicode. */
export function texts(name, values) {
  const points = values.map((text) => [...text].map((letter) => letter.codePointAt(0)));
  const width = Math.max(1, ...points.map((letters) => letters.length));
  const data = new Uint32Array(values.length * width);
  points.forEach((letters, i) => data.set(letters, i * width));
  return { name, descr: `<U${width}`, shape: [values.length], parts: [data] };
}

/** A Blob that `numpy.load` opens; members must have less than 4 GiB together, which a zip of 32 bits can hold. */
export function npz(members) {
  const parts = [];
  const directory = [];
  let offset = 0;
  let listed = 0;
  const put = (bytes) => (parts.push(bytes), (offset += bytes.byteLength));
  for (const { name, descr, shape, parts: values } of members) {
    const content = [npyHeader(descr, shape), ...values].map(bytesOf);
    const size = content.reduce((sum, part) => sum + part.byteLength, 0);
    const file = new TextEncoder().encode(`${name}.npy`);
    const fields = [0x14, 0, 0, 0, 0x21, content.reduce(crc32, 0), size, size, file.length, 0];
    const sizes = [2, 2, 2, 2, 2, 4, 4, 4, 2, 2];
    const entry = record([0x04034b50, ...fields], [4, ...sizes], file);
    const place = record([0x02014b50, 0x14, ...fields, 0, 0, 0, 0, offset], [4, 2, ...sizes, 2, 2, 2, 4, 4], file);
    directory.push(place);
    listed += place.byteLength;
    [entry, ...content].forEach(put);
  }
  const start = offset;
  const count = directory.length;
  directory.forEach(put);
  put(record([0x06054b50, 0, 0, count, count, listed, start, 0], [4, 2, 2, 2, 2, 4, 4, 2]));
  return new Blob(parts, { type: "application/zip" });
}

function npyHeader(descr, shape) {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8];
  return Uint8Array.from([...magic, ...new TextEncoder().encode(padded)]);
}

const bytesOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Little-endian numbers of 2 or 4 bytes, then bytes. */
function record(values, sizes, bytes = new Uint8Array()) {
  const length = sizes.reduce((sum, size) => sum + size, 0);
  const out = new Uint8Array(length + bytes.length);
  const view = new DataView(out.buffer);
  let at = 0;
  values.forEach((value, i) => {
    if (sizes[i] === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += sizes[i];
  });
  out.set(bytes, length);
  return out;
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** The checksum of what came before, followed by some bytes. */
function crc32(before, bytes) {
  let crc = ~before;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}
