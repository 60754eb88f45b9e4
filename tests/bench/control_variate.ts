/**
 * Whether a network learns faster if it has to learn only what a Gaussian does not know.
 *
 *   deno run -A tests/bench/control_variate.ts [--steps 800] [--batch 64] [--only axes,pixels]
 *
 * The data are 4,096 tiny shapes in their principal axes, so that each number is a direction of variance λ. In all variants
 * `D = c_skip x + c_out F(c_in x, c_noise)` with the same network, batches and loss, that of EDM:
 *
 *   edm       c_skip = σ_d²/(σ²+σ_d²), c_out = σσ_d/√(σ²+σ_d²), c_in = 1/√(σ²+σ_d²)
 *   skip      c_skip = λ/(λ+σ²) per direction, the rest as in EDM: F is what the Gaussian leaves
 *   variate   c_skip = λ/(λ+σ²), c_out = σ√(λ/(λ+σ²)), c_in = 1/√(λ+σ²) per direction
 *
 * The second is what `controlVariate()` does, in any coordinates. As Adam and the network are not the same in pixels, it and EDM are
 * then trained in those, too, by `trainDenoiser()`.
 *
 * Shown: the mean squared error per number on 512 other images, in units of the Gaussian's, by noise level.
 */
import { dataSpectrum, RandomStream, tinyShapes } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { scaleRows } from "@closedform/diffusion/theory";
import { controlVariate, edmPreconditioning } from "@closedform/diffusion/training";
import {
  beginOptimising,
  mlp,
  openTrainingBackend,
  optimise,
  trainDenoiser,
  trainedDenoiser,
  weightTensors,
} from "@closedform/diffusion/training";
import type { Dataset } from "@closedform/diffusion";
import type { TrainedNetwork, WeightTensors } from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs-core";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    steps: { type: "string", default: "800" },
    batch: { type: "string", default: "64" },
    only: { type: "string", default: "axes,pixels" },
  },
});
const wanted = options.only.split(",");
const steps = Number(options.steps), size = Number(options.batch);
const known = tinyShapes(4096), others = tinyShapes(512, { seed: 9 }), d = known.dimension;
const spectrum = await dataSpectrum(known), { mean, variances, basis } = spectrum;
const edm = edmPreconditioning();

/** The scales of direction `k`. */
type Scales = (sigma: number, k: number) => { skip: number; out: number; in: number };
const gaussian = (sigma: number, k: number) => variances[k] / (variances[k] + sigma ** 2);
const VARIANTS: Record<string, Scales> = {
  edm: (sigma) => edm.scales(sigma),
  skip: (sigma, k) => ({ ...edm.scales(sigma), skip: gaussian(sigma, k) }),
  variate: (sigma, k) => ({
    skip: gaussian(sigma, k),
    out: sigma * Math.sqrt(gaussian(sigma, k)),
    in: 1 / Math.hypot(Math.sqrt(variances[k]), sigma),
  }),
};

/** Items in the principal axes. */
function coordinates(set: Dataset): Float32Array {
  const rows = new Float32Array(set.count * d);
  for (let i = 0; i < set.count; i++) {
    const item = set.values(i);
    for (let k = 0; k < d; k++) {
      let sum = 0;
      for (let c = 0; c < d; c++) sum += basis[k * d + c] * (item[c] - mean[c]);
      rows[i * d + k] = sum;
    }
  }
  return rows;
}
const training = coordinates(known), held = coordinates(others);
const network = mlp({ shape: [d] });
using backend = await openTrainingBackend("wasm");

/** The error of `D` at states, as a tensor of rows, and the weight of each number. */
function errorOf(
  weights: WeightTensors,
  clean: Float32Array,
  sigmas: readonly number[],
  scales: Scales,
  normal: (row: number) => () => number,
): tf.Tensor {
  const inputs = new Float32Array(clean.length), off = new Float32Array(clean.length);
  const outs = new Float32Array(clean.length);
  sigmas.forEach((sigma, b) => {
    const draw = normal(b);
    for (let k = 0, at = b * d; k < d; k++, at++) {
      const x = clean[at] + sigma * draw(), scale = scales(sigma, k);
      inputs[at] = scale.in * x;
      off[at] = scale.skip * x - clean[at];
      outs[at] = scale.out;
    }
  });
  const shape: [number, number] = [sigmas.length, d];
  const noise = tf.tensor2d(sigmas.map((sigma) => edm.scales(sigma).noise), [sigmas.length, 1]);
  const output = network.apply(weights, tf.tensor2d(inputs, shape), noise);
  return tf.add(tf.mul(output, tf.tensor2d(outs, shape)), tf.tensor2d(off, shape));
}

function lossOf(scales: Scales) {
  return (weights: WeightTensors, step: number) => {
    const clean = new Float32Array(size * d), sigmas: number[] = [];
    const streams = Array.from({ length: size }, (_, sample) => {
      const stream = new RandomStream({ seed: 0, sample, purpose: "training", step });
      const item = stream.below(known.count);
      clean.set(training.subarray(item * d, (item + 1) * d), sample * d);
      sigmas.push(Math.exp(-1.2 + 1.2 * stream.normal()));
      return stream;
    });
    const error = errorOf(weights, clean, sigmas, scales, (b) => () => streams[b].normal());
    const roots = sigmas.map((sigma) => Math.sqrt(edm.weight(sigma)));
    return tf.mean(tf.square(tf.mul(error, tf.tensor2d(roots, [size, 1]))));
  };
}

/** The mean squared error on other images, of `D` and of the Gaussian alone. */
function heldOut(weights: WeightTensors, sigma: number, scales: Scales): number {
  return tf.tidy(() => {
    const sigmas = new Array(others.count).fill(sigma);
    const normal = (row: number) => {
      const stream = new RandomStream({ seed: 1, sample: row, purpose: "metric" });
      return () => stream.normal();
    };
    return tf.mean(tf.square(errorOf(weights, held, sigmas, scales, normal))).dataSync()[0];
  });
}

const LEVELS = [0.1, 0.2, 0.5, 1, 2, 5, 20, 80];
console.log(`${"steps".padEnd(20)}${LEVELS.map((s) => String(s).padStart(8)).join("")}`);
for (const [name, scales] of wanted.includes("axes") ? Object.entries(VARIANTS) : []) {
  const state = beginOptimising(network.initial());
  for await (const { step } of optimise(lossOf(scales), state, { backend, steps, rate: 1e-3 })) {
    if (step !== steps >> 2 && step !== steps) continue;
    const row = LEVELS.map((sigma) => {
      const [ours, alone] = backend.run(() =>
        tf.tidy(() => {
          const weights = weightTensors(state.average);
          const nothing = weightTensors(network.initial());
          return [
            heldOut(weights, sigma, scales),
            heldOut(nothing, sigma, VARIANTS.skip),
          ];
        })
      );
      return (ours / alone).toFixed(3).padStart(8);
    });
    console.log(`${`${name} ${step}`.padEnd(20)}${row.join("")}`);
  }
}

/** The same numbers of a network in pixels. */
async function ofPixels(trained: TrainedNetwork): Promise<string> {
  using denoiser = trainedDenoiser(trained, { backend });
  const shown: string[] = [];
  for (const sigma of LEVELS) {
    const noisy = new Float32Array(others.count * d);
    for (let sample = 0; sample < others.count; sample++) {
      const stream = new RandomStream({ seed: 1, sample, purpose: "metric" });
      const item = others.values(sample);
      for (let c = 0; c < d; c++) noisy[sample * d + c] = item[c] + sigma * stream.normal();
    }
    const x = tensorSpace.from(noisy, [others.count, ...others.shape]);
    const y = (await denoiser.denoise(x, sigma)).mean;
    const error = (values: ArrayLike<number>) => {
      let sum = 0;
      for (let at = 0; at < values.length; at++) sum += (values[at] - others.data[at]) ** 2;
      return sum;
    };
    const alone = scaleRows(spectrum, noisy, (_, v) => v / (v + sigma ** 2));
    shown.push((error(await tensorSpace.values(y)) / error(alone)).toFixed(3).padStart(8));
    tensorSpace.dispose(x, y);
  }
  return shown.join("");
}

const inPixels = { "pixels edm": edm, "pixels skip": controlVariate(spectrum) };
for (const [name, preconditioning] of wanted.includes("pixels") ? Object.entries(inPixels) : []) {
  await trainDenoiser(known, {
    preconditioning,
    steps,
    batchSize: size,
    backend: "wasm",
    snapshots: [steps >> 2, steps],
    onStep: async ({ step, snapshot }) => {
      if (snapshot) console.log(`${`${name} ${step}`.padEnd(20)}${await ofPixels(snapshot)}`);
    },
  });
}
