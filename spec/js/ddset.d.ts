/**
 * Types of the JavaScript reader of .ddset files, format 1.0 (../ddset-1.md).
 *
 * Works in Node 20 or later, in browsers and in their workers. Arrays are in C order; images are
 * channels x height x width ("planar") unless they are called RGBA.
 */

/** What goes wrong with a file, and nothing else, is thrown as this. */
export declare class DDSetError extends Error {
  readonly name: "DDSetError";
  /**
   * `DDS-E001` .. `DDS-E040`: the finding of section 13; `unsupported`: a later version, or
   * something that this place cannot do (see `needs`); `io`: a URL that gives no file; `usage`: a
   * call with arguments that make no sense, as an index out of range.
   */
  readonly code: string;
}

/** Every cap of section 11 that a caller may change; sizes in bytes. */
export interface Limits {
  fileBytes: number; // 8 GiB; DDS-E001
  headerBytes: number; // 4 MiB; DDS-E002
  nesting: number; // 16; DDS-E003
  tensors: number; // stored, each chunk counted; 100,000
  dimensions: number; // of a tensor; 8
  decodedBytes: number; // of all tensors, labels of all samples, a teacher's layer; 4 GiB
  classes: number; // 100,000
  patches: number; // samples of a file; 1,000,000
  zstdWindow: number; // 8 MiB; DDS-E021
  contextSymbols: number; // of a tensor in the coder `context`; 4,194,304
  teacherProducts: number; // to label all samples by a teacher in the file; 1e14
}
export declare const LIMITS: Readonly<Limits>;

/** The highest version that this reader knows: { major: 1, minor: 0 }. */
export declare const FORMAT: Readonly<{ major: number; minor: number }>;

/** A still picture as a platform decodes it: 8-bit RGBA, row by row, width * height * 4 bytes. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

export interface OpenOptions {
  /** Caps that differ from LIMITS. */
  limits?: Partial<Limits>;
  /** false: no digest is checked (damage may go unseen, the process stays safe). Default true. */
  check?: boolean;
  /** Stops a download; the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
  /** Called after each step with what was done and what there is to do, in bytes. */
  onProgress?: (done: number, total: number) => void;
  /**
   * Decodes an AVIF picture. Default: createImageBitmap and OffscreenCanvas where they exist
   * (browsers); elsewhere images stored as AVIF are refused as `unsupported`. WebP needs nothing:
   * it is decoded here, to the bits of libwebp.
   */
  decodePicture?: (bytes: Uint8Array, coder: "avif") => Picture | Promise<Picture>;
}

/** A Blob is a File too, as a drop or an <input type="file"> gives it. A URL is fetched (CORS). */
export type Source = ArrayBuffer | ArrayBufferView | Blob | URL;

/**
 * Read, check and decode a file. A string is not taken, so that no text of a page becomes a URL by
 * accident. Heavy files belong in a worker: decoding does not yield between its awaits.
 */
export declare function open(source: Source, options?: OpenOptions): Promise<DDSet>;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Section 4, with every default filled in. */
export interface Manifest {
  format: { major: number; minor: number };
  codec: { name: "podd" | "ppodd" | "images" | "lic" | "d3m"; version: number; params: { [key: string]: any } };
  classes: string[];
  image: {
    channels: 1 | 3;
    height: number;
    width: number;
    colour: "grey" | "rgb";
    preprocessing: {
      kind: "none" | "standardise" | "conv_whiten";
      mean?: number[];
      std?: number[];
      gain?: number;
      size?: number;
      kernel?: number[];
    };
  };
  tensors: { [name: string]: TensorSpec };
  labels: {
    kind: "learned" | "fixed" | "soft" | "index" | "logits" | "top" | "teacher" | "class";
    pooling?: "cell" | "area" | "majority";
    grid?: [number, number];
    temperature?: number;
    architecture?: "convnet3" | "convnet4" | "resnet18" | "mobilenetv2" | "residual";
    size?: number; // of a residual one
    scale?: number;
    live?: true; // labels every augmented view
  };
  order?: { grid: [number, number]; cells: number[]; rule: string; score?: number };
  patches?: { grid: [number, number]; size: [number, number]; origins: "linspace-half-even" | "per-class" };
  recipe: {
    network: { name: string; norm: string; depth: number; width: number };
    optimizer: { name: string; lr: number; weight_decay?: number };
    steps: number;
    batch_size: number;
    augment: string;
    loss: string;
    schedule?: string;
  };
  source: { name: string; split: string; count: number; digest: string; size?: number; test_share?: number };
  provenance: { tool: string; command: string; seed: number; observer?: { architecture: string; digest: string } };
  /** The file's own network; in a list others follow it. */
  measured?: Measured | [Measured, ...MeasuredNetwork[]];
  external?: External[];
  license?: string;
  ignorable?: { [key: string]: Json };
  content_digest: string;
  data_digest: string;
}

/** Accuracy of networks that were trained on the file alone, shares of 1; section 7. */
export interface Measured {
  accuracy_mean: number;
  accuracy_std: number;
  nets: number;
  steps: number;
  test: string;
  test_count: number;
  tool?: string;
}

export interface MeasuredNetwork {
  network: string;
  norm: string;
  accuracy_mean: number;
  accuracy_std: number;
  nets: number;
  steps: number;
  optimizer: string;
  lr: number;
  /** The file's own network, by another recipe. */
  own?: true;
  tool?: string;
}

export type Dtype = "uint8" | "int32" | "int64" | "float16" | "float32";

export interface TensorSpec {
  dtype: Dtype;
  shape: number[];
  coder: "raw" | "zstd" | "context" | "webp" | "avif";
  quantiser?: { kind: "uniform" | "square"; bits: number; offset?: number[]; scale: number[] | number };
  chunk?: number;
  digests?: string[];
}

/** What is needed beside the file, section 4. */
export interface External {
  name: string;
  revision: string;
  bytes: number;
  files?: { [path: string]: string };
}

/** A decoded tensor. */
export interface Tensor {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Values; those of `float16` as the same numbers in a Float32Array. */
  data: Uint8Array | Int32Array | BigInt64Array | Float32Array;
  /** The decoded bytes, little-endian, that digests are made of (shares memory with `data` where it can). */
  bytes: Uint8Array;
}

/** Pixels as they are stored: 8-bit values before the preprocessing, float values after it. */
export interface Pixels {
  channels: number;
  height: number;
  width: number;
  data: Uint8Array | Float32Array;
}

/** Pixels to show: 4 bytes each, opaque, row by row. `new ImageData(data, width, height)` takes it. */
export interface Rgba {
  width: number;
  height: number;
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** Where a sample lies: in picture `picture` (a poster's stage, a mosaic, an image; from 0). */
export interface Place {
  picture: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Bytes of a file by part: `header` + the sum of `tensors` = `total`. */
export interface Bytes {
  total: number;
  /** Length field, header, padding; the manifest is in it. */
  header: number;
  /** Stored bytes of each logical tensor, all its chunks together. */
  tensors: { [name: string]: number };
  /** Of these, what stands for labels (`labels`, `labels_1`, `label_classes`, `label_weights`, ..). */
  labels: number;
  /** Characters of the preprocessing, part of the header. */
  preprocessing: number;
}

/** An opened file. All methods are synchronous; indices count from 0. */
export declare class DDSet {
  private constructor();
  readonly manifest: Manifest;
  /** The manifest as it stands in the file: canonical JSON. */
  readonly text: string;
  readonly bytes: Bytes;
  /** Digests that were compared: all of them, unless `check` was false. */
  readonly checked: boolean;
  /** Decoded tensors by logical name. */
  readonly tensors: { [name: string]: Tensor };

  /** Training samples of the file (patches, images, regions; of d3m what its model would make). */
  readonly length: number;
  /**
   * What holds the samples: `poster` (podd and ppodd, a picture for each stage), `images`, `mosaics`
   * (lic), or `none` (d3m: a model makes them).
   */
  readonly kind: "poster" | "images" | "mosaics" | "none";
  /** Pictures: stages of a poster, images, mosaics; 0 where a model makes them. */
  readonly pictures: number;
  /** What is missing to make images, for a file of a diffusion model; else null. */
  readonly needs: External | null;

  /**
   * A picture: stage t of a poster (differences added up), a poster as its patches are cut from it
   * (expanded or of coefficients, section 8.1), image or mosaic n. Memory may be shared: do not write into it. Throws `unsupported`, with what is needed, for d3m.
   */
  picture(index: number): Pixels;
  /** Sample i as it is stored: a patch (float), an image, or a region of a mosaic at full size (8 bits). */
  pixels(index: number): Pixels;
  /** Sample i as networks see it: float32, after the preprocessing, bit for bit (section 6). */
  sample(index: number): Float32Array;
  /** Soft label of sample i, one value a class, bit for bit. A teacher in the file computes it: slow. */
  label(index: number): Float32Array;
  /** Probability with which a consumer draws sample i (ppodd: by the weights of stages; else 1 / length). */
  weight(index: number): number;
  /** Where sample i lies in its picture; null for d3m. */
  place(index: number): Place | null;

  /**
   * Pixels to show. 8-bit values are shown as they are. Float values are first brought back to
   * units in which 0 is black and 1 is white: v for `none`, v * std + mean of the channel for
   * `standardise`, v itself for `conv_whiten` (whitening is not undone). Then, for a whole poster or
   * a whole stored image, all its channels together:
   *  - bounded: where no value lies outside of -1/128 .. 1 + 1/128, and the preprocessing is not
   *    `conv_whiten`, low = 0 and high = 1;
   *  - unbounded: else low = m - 2.5 s and high = m + 2.5 s, with the mean m and the population
   *    standard deviation s of all its values (s is taken as 1e-6 where it is less).
   * The byte is round(255 * clip((u - low) / (high - low), 0, 1)). Patches are shown by low and high
   * of their poster (of their stage).
   */
  pictureRgba(index: number): Rgba;
  /** Sample i to show, by the same rule. */
  sampleRgba(index: number): Rgba;
  /** low and high of that rule for a picture: {low: 0, high: 1, bounded: true} for 8-bit values. */
  range(picture: number): { low: number; high: number; bounded: boolean };
}

/** Lower-case hexadecimal SHA-256, computed here: for tests, and where crypto.subtle is missing. */
export declare function sha256(data: Uint8Array): string;
