/**
 * Sequential depth turned into time: collocation against DOP853 and Heun to the same error, on CIFAR-10
 * with the exact denoiser, on each device.
 *
 *   deno task bench:collocation [--device wasm,webgpu] [--limit 50000] [--count 1,4] [--errors 1e-3,1e-4,1e-5] [--repeat 3]
 *
 * From noise level 80 to 1, where the noise is still part of the state: below, a trajectory has
 * collapsed onto an image, and any method that found the right one looks exact. Of each method the
 * cheapest setting is taken that reaches the error, in the median over the samples; tolerances in
 * half decades, steps in factors of √2. Then all of them are timed in turns. A reference is collocation
 * with states in float64 and twelve nodes, on the same device.
 */
import type { AnyTensor, Denoiser, Device, DeviceKind, Sampler } from "@closedform/diffusion";
import {
  collocation,
  dop853,
  heun,
  logSnrGrid,
  openDevice,
  optimal,
  readCifar10,
  startNoise,
} from "@closedform/diffusion";
import { arraySpace, tensorSpace } from "@closedform/diffusion/compute";
import { parseArgs } from "node:util";
import { quantile } from "../../src/base/_quantile.ts";
import { rowDistances } from "../../src/theory/_flow_runs.ts";
import { dataPath } from "../_helpers/data.ts";

const { values: options } = parseArgs({
  options: {
    device: { type: "string", default: "wasm,webgpu" },
    limit: { type: "string", default: "50000" },
    count: { type: "string", default: "1,4" },
    errors: { type: "string", default: "1e-3,1e-4,1e-5" },
    repeat: { type: "string", default: "3" },
  },
});
const numbers = (list: string) => list.split(",").map(Number);

const RANGE = { sigmaMax: 80, sigmaMin: 1 };
const ENDS = logSnrGrid(1, RANGE).sigmas;
const DIMENSION = 3072;

/** A method at one setting. */
interface Setting {
  readonly name: string;
  readonly sampler: Sampler;
  readonly sigmas: readonly number[];
}

const TOLERANCES = [1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7];
/** Settings of each method, the cheapest first. */
const METHODS: Readonly<Record<string, readonly Setting[]>> = {
  collocation: TOLERANCES.map((tolerance) => ({
    name: `tolerance ${tolerance}`,
    sampler: collocation({ tolerance, nodes: 6 }),
    sigmas: ENDS,
  })),
  dop853: TOLERANCES.map((tolerance) => ({
    name: `tolerance ${tolerance}`,
    sampler: dop853({ tolerance }),
    sigmas: ENDS,
  })),
  heun: Array.from({ length: 17 }, (_, k) => Math.round(4 * Math.SQRT2 ** k)).map((steps) => ({
    name: `${steps} steps`,
    sampler: heun(),
    sigmas: logSnrGrid(steps, RANGE).sigmas,
  })),
};

interface Run {
  readonly x: Float64Array;
  readonly evaluations: number;
  readonly calls: number;
  readonly seconds: number;
}

async function run<X>(
  { sampler, sigmas }: Setting,
  denoiser: Denoiser<X>,
  start: X,
): Promise<Run> {
  const before = performance.now();
  let evaluations = 0, calls = 0, x = new Float64Array();
  for await (const step of sampler.run(denoiser, start, sigmas)) {
    ({ evaluations, calls } = step);
    if (step.sigma === RANGE.sigmaMin) {
      x = Float64Array.from(await denoiser.space.values(step.x));
    }
  }
  return { x, evaluations, calls, seconds: (performance.now() - before) / 1000 };
}

/** A denoiser of tensors, on arrays: the states are float64, what it gives has the digits of float32. */
function onArrays(denoiser: Denoiser<AnyTensor>): Denoiser<Float64Array> {
  const { label, references, shape } = denoiser;
  return {
    label,
    references,
    shape,
    space: arraySpace,
    async denoise(x, sigma, evaluate) {
      const states = tensorSpace.from(x, [x.length / DIMENSION, ...shape]);
      const denoised = (await denoiser.denoise(states, sigma, evaluate)).mean;
      const values = Float64Array.from(await tensorSpace.values(denoised));
      tensorSpace.dispose(states, denoised);
      return { mean: values };
    },
  };
}

async function measure(device: Device, denoiser: Denoiser<AnyTensor>, count: number) {
  const noise = startNoise(5, 0, count, DIMENSION).map((e) => Math.fround(RANGE.sigmaMax * e));
  const start = tensorSpace.from(noise, [count, 32, 32, 3]);
  const reference = collocation({ nodes: 12, tolerance: 1e-7, roundoff: 2 ** -26 });
  const exact = await run(
    { name: "reference", sampler: reference, sigmas: ENDS },
    onArrays(denoiser),
    noise,
  );
  const size = quantile(rowDistances(exact.x, new Float64Array(exact.x.length), DIMENSION), 0.5);
  const errorOf = ({ x }: Run) => quantile(rowDistances(x, exact.x, DIMENSION), 0.5) / size;
  for (const error of numbers(options.errors)) {
    const found = new Map<string, { setting: Setting; error: number; run: Run; times: number[] }>();
    for (const [method, settings] of Object.entries(METHODS)) {
      for (const setting of settings) {
        const tried = await run(setting, denoiser, start);
        const reached = errorOf(tried);
        if (reached > error) continue;
        found.set(method, { setting, error: reached, run: tried, times: [] });
        break;
      }
    }
    for (let k = 0; k < Number(options.repeat); k++) {
      for (const { setting, times } of found.values()) {
        times.push((await run(setting, denoiser, start)).seconds);
      }
    }
    const seconds = (method: string) => quantile(found.get(method)?.times ?? [NaN], 0.5);
    for (const method of Object.keys(METHODS)) {
      const at = found.get(method);
      const cells = at
        ? [
          at.setting.name,
          at.error.toExponential(1),
          at.run.evaluations.toFixed(0),
          at.run.calls,
          seconds(method).toFixed(2),
          (seconds(method) / seconds("collocation")).toFixed(2),
        ]
        : ["not reached", "", "", "", "", ""];
      console.log(`| ${[device.kind, count, error, method, ...cells].join(" | ")} |`);
    }
  }
  start.dispose();
}

const images = await readCifar10(dataPath("cifar-10-batches-bin"), {
  limit: Number(options.limit),
});
console.log(`CIFAR-10, ${images.count} images, sigma ${RANGE.sigmaMax} to ${RANGE.sigmaMin}\n`);
console.log(
  "| device | samples | error wanted | method | setting | error | evaluations | calls | seconds | of collocation's |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|");
for (const kind of options.device.split(",") as DeviceKind[]) {
  using device = await openDevice(kind);
  using denoiser = await optimal(images, { device });
  for (const count of numbers(options.count)) await measure(device, denoiser, count);
}
