/** The network in a file that labels its images, in integers (section 8.3.1). */

import { limit, need } from "./errors.js";
import { ceil, clamp, product, rint } from "./values.js";

const unit = (filters, incoming, kernel, stride = 1, end = "relu", groups = 1) => ({
  filters,
  incoming,
  kernel,
  stride,
  end,
  groups,
});
const weightsOf = (u) => u.filters * u.incoming * Math.max(1, u.kernel) ** 2;

const shapeOf = ({ channels, height, width }) => [channels, height, width];

/** The steps of the network of a manifest: units, {body, shortcut, relu}, "pool2", "max3", "sum". */
function network({ labels: { architecture: name, size }, image, classes: { length: classes } }) {
  let [channels, height, width] = shapeOf(image);
  const small = Math.max(height, width) <= 64;
  const steps = [];
  let incoming = channels;
  const block = (filters, stride) => {
    const body = [unit(filters, incoming, 3, stride), unit(filters, filters, 3, 1, "signed")];
    const shortcut = incoming === filters && stride === 1 ? null : unit(filters, incoming, 1, stride, "signed");
    steps.push({ body, shortcut, relu: true });
    incoming = filters;
  };
  if (name.startsWith("convnet")) {
    for (let depth = Number(name.at(-1)); depth; depth--, incoming = 128) {
      steps.push(unit(128, incoming, 3));
      if (Math.min(height, width) < 2) continue;
      steps.push("pool2");
      [height, width] = [height >> 1, width >> 1];
    }
    return [...steps, unit(classes, 128 * height * width, 0, 1, "logits")];
  }
  if (name === "residual") {
    const [one, two, three] = [(size + 2) >> 2, (3 * size + 4) >> 3, (size + 1) >> 1].map((n) => Math.max(1, n));
    const side = Math.min(height, width);
    steps.push(unit(one, incoming, 3, side >= 32 ? 2 : 1));
    for (let rest = side >> 6; rest; rest >>= 1) steps.push("pool2");
    incoming = one;
    block(one, 1);
    block(two, 2);
    block(three, 2);
    return [...steps, "sum", unit(classes, three, 0, 1, "logits")];
  }
  if (name === "resnet18") {
    steps.push(...(small ? [unit(64, incoming, 3)] : [unit(64, incoming, 7, 2), "max3"]));
    incoming = 64;
    for (const filters of [64, 128, 256, 512]) {
      block(filters, filters === 64 ? 1 : 2);
      block(filters, 1);
    }
    return [...steps, "sum", unit(classes, 512, 0, 1, "logits")];
  }
  steps.push(unit(32, incoming, 3, small ? 1 : 2));
  incoming = 32;
  const stages = [
    [1, 16, 1, 1],
    [6, 24, 2, small ? 1 : 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
  ];
  for (const [expansion, filters, repeats, first] of [...stages, [6, 160, 3, 2], [6, 320, 1, 1]])
    for (let i = 0; i < repeats; i++) {
      const stride = i ? 1 : first;
      const hidden = incoming * expansion;
      const body = expansion > 1 ? [unit(hidden, incoming, 1)] : [];
      body.push(unit(hidden, 1, 3, stride, "relu", hidden), unit(filters, hidden, 1, 1, "signed"));
      if (stride === 1 && incoming === filters) steps.push({ body, shortcut: null, relu: false });
      else steps.push(...body);
      incoming = filters;
    }
  return [...steps, unit(1280, 320, 1), "sum", unit(classes, 1280, 0, 1, "logits")];
}

/** Check that the tensors are those of the architecture, and what labelling will take. */
export function checkTeacher(m, samples, limits) {
  const steps = network(m);
  let [, height, width] = shapeOf(m.image);
  let [weights, rows, products, widest] = [0, 0, 0, product(shapeOf(m.image))];
  const add = (units) => {
    let [h, w] = [height, width];
    for (const u of units) {
      [h, w] = [ceil(h, u.stride), ceil(w, u.stride)];
      const places = u.kernel ? h * w : 1;
      weights += weightsOf(u);
      rows += u.filters;
      products += weightsOf(u) * places;
      widest = Math.max(widest, u.incoming * u.groups * Math.max(1, u.kernel) ** 2 * places, u.filters * places);
    }
    return [h, w];
  };
  for (const step of steps) {
    if (step === "sum") [height, width] = [1, 1];
    else if (step === "pool2") [height, width] = [height >> 1, width >> 1];
    else if (step === "max3") [height, width] = [ceil(height, 2), ceil(width, 2)];
    else if (!step.body) [height, width] = add([step]);
    else {
      if (step.shortcut) add([step.shortcut]);
      else rows++;
      [height, width] = add(step.body);
    }
  }
  const { label_weights: stored, label_affine: affine } = m.tensors;
  const fits = stored.dtype === "uint8" && stored.shape.length === 1 && stored.shape[0] === weights;
  const dtype = m.labels.architecture === "residual" ? "uint8" : "float32";
  const affines = affine.dtype === dtype && affine.shape.length === 2 && affine.shape[1] === 2;
  need(fits && affines && affine.shape[0] === rows, "tensors: not the weights of the architecture", "DDS-E013");
  const memory = Math.max(8 * widest, 16 * weights);
  limit(memory, limits.decodedBytes, `labels: a layer of the teacher needs ${memory} bytes`);
  const needed = samples * products;
  limit(needed, limits.teacherProducts, `labels: the teacher needs ${needed} products`);
}

const MANTISSAS = [
  1099511627776, 1164891991448, 1234160073853, 1307547050779, 1385297844439, 1467671940879, 1554944255988,
  1647406053005, 1745365914583, 1849150772653, 1959106999532, 2075601563905,
];
const UNITS = { relu: 2, signed: 1, logits: 2 ** -10 };

/** Row (a, b) of a filter: as it is, or from its codes. */
function rowOf({ dtype, data }, row, end) {
  const [a, b] = data.subarray(2 * row);
  if (dtype === "float32") return [a, b];
  const low = end === "logits" ? -70 : -60;
  return [MANTISSAS[a % 12] * 2 ** (Math.floor(a / 12) + low), (b - 128) * Math.abs(b - 128) * UNITS[end]];
}

/** The symbols that the network gives an image, float32 values (C, H, W) after preprocessing. */
export function taught(values, m, tensors) {
  const weights = tensors.label_weights.data;
  const affine = tensors.label_affine;
  let [at, row] = [0, 0];
  const run = (x, u) => {
    const z = u.kernel ? convolve(x, u, weights, at) : linear(x, u, weights, at);
    at += weightsOf(u);
    const places = z.data.length / u.filters;
    for (let f = 0; f < u.filters; f++) {
      const [a, b] = rowOf(affine, row++, u.end);
      for (let i = f * places; i < (f + 1) * places; i++) {
        const y = z.data[i] * a + b;
        z.data[i] = u.end === "logits" ? y : u.end === "relu" ? clamp(rint(y), 0, 65535) : signed(y);
      }
    }
    return z;
  };
  const [channels, height, width] = shapeOf(m.image);
  let x = { data: Float64Array.from(values, (v) => signed(v * m.labels.scale)), channels, height, width };
  for (const step of network(m)) {
    if (typeof step === "string") x = { pool2, max3, sum }[step](x);
    else if (!step.body) x = run(x, step);
    else {
      const y = step.body.reduce(run, x);
      let other;
      if (step.shortcut) other = run(x, step.shortcut).data;
      else {
        const [a, b] = rowOf(affine, row++, "signed");
        other = x.data.map((v) => signed(v * a + b));
      }
      const [low, high] = step.relu ? [0, 65535] : [-32768, 32767];
      x = { ...y, data: y.data.map((v, i) => clamp(v + other[i], low, high)) };
    }
  }
  const largest = x.data.reduce((a, b) => Math.max(a, b));
  const unitOf = 16 / (m.labels.temperature * 0.6931471805599453);
  return Uint8Array.from(x.data, (logit) => Math.min(254, rint((largest - logit) * unitOf)));
}

const signed = (v) => clamp(rint(v), -32768, 32767);

function linear(x, u, weights, at) {
  const data = new Float64Array(u.filters);
  for (let f = 0; f < u.filters; f++) for (let i = 0; i < u.incoming; i++) data[f] += (weights[at++] - 128) * x.data[i];
  return { data, channels: u.filters, height: 1, width: 1 };
}

/** Sums of products, exact in any order, so those of a weight are added at all places at once. */
function convolve(x, u, weights, at) {
  const { stride, kernel, incoming } = u;
  const [height, width, half] = [ceil(x.height, stride), ceil(x.width, stride), kernel >> 1];
  const data = new Float64Array(u.filters * height * width);
  // Of each place in the kernel: the first output that sees a pixel there, and the first behind the last.
  const span = (tap, length, most) => [
    Math.max(0, ceil(half - tap, stride)),
    Math.min(most, Math.floor((length - 1 + half - tap) / stride) + 1),
  ];
  const taps = Array.from({ length: kernel ** 2 }, (_, i) => {
    const [ky, kx] = [Math.floor(i / kernel), i % kernel];
    const [[y0, y1], [x0, x1]] = [span(ky, x.height, height), span(kx, x.width, width)];
    return { i, y0, y1, x0, x1, offset: (ky - half) * x.width + kx - half };
  }).filter(({ y0, y1, x0, x1 }) => y0 < y1 && x0 < x1);
  const { data: values, height: rows, width: columns } = x;
  for (let f = 0; f < u.filters; f++) {
    const group = Math.floor(f / (u.filters / u.groups)) * incoming;
    for (let c = group; c < group + incoming; c++, at += kernel ** 2)
      for (let k = 0; k < taps.length; k++) {
        const { i, y0, y1, x0, x1, offset } = taps[k];
        const weight = weights[at + i] - 128;
        for (let y = y0; y < y1; y++) {
          const target = (f * height + y) * width;
          let source = (c * rows + y * stride) * columns + offset + x0 * stride;
          for (let j = x0; j < x1; j++, source += stride) data[target + j] += weight * values[source];
        }
      }
  }
  return { data, channels: u.filters, height, width };
}

/** A map of each channel to one of `height` x `width`, `value(data, offset, y, x)` at each place. */
function pooled(x, height, width, value) {
  const data = new Float64Array(x.channels * height * width);
  for (let c = 0, at = 0; c < x.channels; c++)
    for (let y = 0; y < height; y++)
      for (let i = 0; i < width; i++) data[at++] = value(x.data, c * x.height * x.width, y, i);
  return { data, channels: x.channels, height, width };
}

function pool2(x) {
  return pooled(x, x.height >> 1, x.width >> 1, (data, offset, y, i) => {
    const at = offset + 2 * y * x.width + 2 * i;
    return data[at] + data[at + 1] + data[at + x.width] + data[at + x.width + 1];
  });
}

function max3(x) {
  return pooled(x, ceil(x.height, 2), ceil(x.width, 2), (data, offset, y, i) => {
    let most = 0; // what comes in is 0 or more
    for (let v = Math.max(0, 2 * y - 1); v <= Math.min(x.height - 1, 2 * y + 1); v++)
      for (let u = Math.max(0, 2 * i - 1); u <= Math.min(x.width - 1, 2 * i + 1); u++)
        most = Math.max(most, data[offset + v * x.width + u]);
    return most;
  });
}

function sum(x) {
  const places = x.height * x.width;
  return pooled(x, 1, 1, (data, offset) => data.subarray(offset, offset + places).reduce((a, b) => a + b));
}
