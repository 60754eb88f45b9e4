/**
 * What a teleport buys at an equal number of evaluations, how many it saves at equal quality, how far it may go, and what
 * else was tried.
 *
 *   deno task bench:teleport [--data tiny-shapes:4096] [--denoiser optimal|mixture|FILE.safetensors] [--leg gaussian|mixture:K]
 *     [--samplers heun,dpmpp-2m,unipc,dpm-v3] [--evaluations 8,10,12,16,20,28,40] [--sigma auto|S] [--start 80] [--count 64]
 *     [--device wasm] [--limit N] [--only table,knee,beyond]
 *
 * A file is a trained network, for instance data/networks/tiny-shapes.safetensors, which was trained on the default data.
 *
 * table: every run starts from the same noise at the start on the Karras grid; with a teleport all steps are spent below.
 * Errors are distances, root mean square per number, from the end of a run of 320 steps of UniPC: medians over the samples,
 * as a few of them end elsewhere. `same` is the share of samples that end within 0.01 of it; `energy` is the distance to a
 * thousand items of the data, without bias. The last column is what a run without teleport would need for the quality with it, by
 * interpolation: for the same error, or of the optimal denoiser, whose ends are items, for as many of the same ends.
 *
 * knee: the energy distance over the level of the teleport, the level where a broken line through it bends
 * (tests/_helpers/knee.ts), and both automatic levels relative to it. Of less than some hundred samples (--count) the curve is
 * noise.
 *
 * beyond: how far legs land from the flow of the data, root mean square over a state: the Gaussian, the Gaussian with its
 * Edgeworth correction in the leading directions, mixtures. And a history for multistep samplers that is filled with what
 * the leg sees above its landing, instead of steps of lower order: errors without and with it.
 */
import type {
  AnyTensor,
  Denoiser,
  DeviceKind,
  FirstLeg,
  MultistepSampler,
  Sampler,
} from "@closedform/diffusion";
import {
  dataSpectrum,
  dpmpp2m,
  dpmpp3m,
  dpmV3Statistics,
  energyDistance,
  gaussian,
  gaussianLeg,
  integratedLeg,
  karrasGrid,
  loadDataset,
  mixture,
  openDevice,
  optimal,
  respacedGrid,
  sample,
  startNoise,
  teleport,
  unipc,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import {
  crossingLevel,
  cumulantNorms,
  skipEstimate,
  skipLevel,
} from "@closedform/diffusion/theory";
import { samplerByName } from "../../src/samplers/registry.ts";
import { readNetwork, trainedDenoiser } from "@closedform/diffusion/training";
import { parseArgs } from "node:util";
import { rowDistances } from "../../src/theory/_flow_runs.ts";
import { KNEE_LEVELS, kneeOf } from "../_helpers/knee.ts";

const { values: options } = parseArgs({
  options: {
    data: { type: "string", default: "tiny-shapes:4096" },
    denoiser: { type: "string", default: "optimal" },
    samplers: { type: "string", default: "heun,dpmpp-2m,unipc,dpm-v3" },
    evaluations: { type: "string", default: "8,10,12,16,20,28,40" },
    leg: { type: "string", default: "gaussian" },
    sigma: { type: "string", default: "auto" },
    start: { type: "string", default: "80" },
    only: { type: "string", default: "table,knee,beyond" },
    count: { type: "string", default: "64" },
    device: { type: "string", default: "wasm" },
    limit: { type: "string" },
  },
});

const limit = options.limit === undefined ? undefined : Number(options.limit);
const data = await loadDataset(options.data, { limit });
using device = await openDevice(options.device as DeviceKind);
using truth = await optimal(data, { device });
const learned = options.denoiser.endsWith(".safetensors");
using denoiser = learned
  ? trainedDenoiser(await readNetwork(options.denoiser))
  : await analytic(options.denoiser);
/** A mixture of so many, or the optimal denoiser. */
async function analytic(name: string): Promise<Denoiser<AnyTensor> & Disposable> {
  const [kind, components = "10"] = name.split(":");
  if (kind === "optimal") return await optimal(data, { device });
  const rank = Math.min(64, data.dimension);
  return await mixture(data, { device, rank, components: Number(components), ridge: 1e-4 });
}

const start = Number(options.start);
const count = Number(options.count), d = data.dimension;
const spectrum = await dataSpectrum(data);
const norms = await cumulantNorms(data, spectrum);
const sigma = options.sigma === "auto"
  ? skipLevel(norms, 0.02 * Math.sqrt(d))
  : Number(options.sigma);
using closed = gaussianLeg(spectrum);
using model = options.leg === "gaussian" ? undefined : await analytic(options.leg);
const leg = model ? integratedLeg(model) : closed;
const { displacement } = skipEstimate(norms, sigma, start);
console.log(
  `${data.summary()}, ${denoiser.label}, ${device.kind}\n` +
    `teleport along ${leg.label} from ${start} to ${
      sigma.toFixed(2)
    }, by the cumulants displaced by ${(displacement / Math.sqrt(d)).toFixed(4)} per number`,
);

const items = new Float32Array(Math.min(1000, data.count) * d);
for (let i = 0; i * d < items.length; i++) items.set(data.values(i), i * d);

/** Where a run ends. */
async function endOf(sampler: Sampler, sigmas: readonly number[]): Promise<ArrayLike<number>> {
  const grid = { ...karrasGrid(2), sigmas };
  const { x, denoised } = await sample(denoiser as Denoiser<AnyTensor>, {
    count,
    sampler,
    grid,
    output: "tensor",
  });
  const values = await tensorSpace.values(x);
  tensorSpace.dispose(x, denoised);
  return values;
}

const gridOf = (steps: number, sigmaMax = start) => karrasGrid(steps, { sigmaMax });
const exact = await endOf(unipc(), gridOf(320).sigmas);

/** Median error, share of the same ends, and energy distance to the data. */
function judge(end: ArrayLike<number>): [number, number, number] {
  const errors = rowDistances(Float64Array.from(end), Float64Array.from(exact), d)
    .map((distance) => distance / Math.sqrt(d));
  const same = errors.filter((error) => error < 1e-2).length / count;
  return [
    errors.toSorted()[count >> 1],
    same,
    energyDistance(end, items, { dimension: d, unbiased: true }),
  ];
}

/** Steps of a grid that ends at 0 for a number of evaluations. */
function stepsFor(name: string, evaluations: number): number {
  return name === "heun" ? Math.floor((evaluations + 1) / 2) : evaluations;
}

/** The evaluations at which a falling curve has a value, between its points by a power law. */
function needed(curve: readonly (readonly [number, number])[], value: number): string {
  const at = curve.findIndex(([, error]) => error <= value);
  if (at < 0) return `> ${curve[curve.length - 1][0]}`;
  if (at === 0) return `<= ${curve[0][0]}`;
  const [[a, high], [b, low]] = [curve[at - 1], curve[at]];
  return (a * (b / a) ** (Math.log(value / high) / Math.log(low / high))).toFixed(1);
}

async function samplerOf(name: string): Promise<Sampler> {
  if (name !== "dpm-v3") return samplerByName(name);
  const begin = performance.now();
  const statistics = await dpmV3Statistics(denoiser, data, { samples: 128 });
  console.log(`tables of dpm-v3: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  return samplerByName(name, { statistics });
}

async function compare(name: string, leg: FirstLeg): Promise<void> {
  const sampler = await samplerOf(name);
  const plain: [number, number][] = [], rows: string[][] = [];
  const jumps: number[] = [];
  for (const evaluations of options.evaluations.split(",").map(Number)) {
    const grid = gridOf(stepsFor(name, evaluations));
    const without = judge(await endOf(sampler, grid.sigmas));
    const jumping = teleport(sampler, leg, { sigma });
    const withIt = judge(await endOf(jumping, respacedGrid(grid, sigma).sigmas));
    const badness = ([error, same]: readonly number[]) =>
      options.denoiser === "optimal" ? 1 - same : error;
    plain.push([evaluations, badness(without)]);
    jumps.push(badness(withIt));
    rows.push([
      String(evaluations),
      ...[without, withIt].flatMap(([error, same, energy]) => [
        error.toExponential(2),
        same.toFixed(2),
        energy.toFixed(4),
      ]),
    ]);
  }
  console.log(
    `\n${name}: evaluations; error, same, energy without; with; without for the same quality`,
  );
  rows.forEach((row, i) => console.log([...row, needed(plain, jumps[i])].join("  ")));
}

/** The energy distance over the level of the teleport, and where the automatic levels are beside its knee. */
async function knee(): Promise<void> {
  const curve: [number, number][] = [];
  for (const level of KNEE_LEVELS.filter((level) => level < start)) {
    const { sigmas } = respacedGrid(gridOf(14), level);
    const [, , energy] = judge(await endOf(teleport(dpmpp2m(), leg, { sigma: level }), sigmas));
    curve.push([level, energy]);
  }
  const level = kneeOf(curve);
  using law = await gaussian(spectrum, { device, shape: data.shape });
  const crossing = await crossingLevel<AnyTensor>(denoiser, law, truth);
  console.log(`\nenergy distance at 14 evaluations of dpmpp-2m over the level of the teleport:`);
  console.log(curve.map(([sigma, energy]) => `${sigma}: ${energy.toFixed(4)}`).join("  "));
  const beside = (sigma: number) =>
    sigma < Infinity
      ? `${sigma.toFixed(2)} (${(sigma / level).toFixed(2)} of the knee)`
      : "nowhere";
  const ofData = skipLevel(norms, 0.02 * Math.sqrt(d));
  console.log(
    `knee ${level.toFixed(2)}, by the data ${beside(ofData)}, by the denoiser ${
      beside(crossing.sigma)
    }`,
  );
}

/** Where legs land, and histories filled by them. */
async function beyond(): Promise<void> {
  const levels = [start, 20, 10, 5, 3];
  const x = startNoise(40, 0, count, d).map((e) => start * e);
  const flow = await integratedLeg(truth).follow(x, levels);
  const off = (name: string, states: readonly { x: Float64Array }[]) => {
    const each = states.map((state, i) => {
      const distances = rowDistances(state.x, flow[i].x, d);
      return Math.sqrt(distances.reduce((sum, v) => sum + v * v, 0) / count).toExponential(2);
    });
    console.log(`${name.padEnd(26)}${each.join("  ")}`);
  };
  console.log(`\ndisplacement of legs from ${start} at ${levels.slice(1).join(", ")}:`);
  const closedStates = await closed.follow(x, levels);
  off("Gaussian", closedStates);
  for (const rank of [12, d]) {
    const correction = edgeworth(x, rank);
    off(
      `Edgeworth, ${rank} directions`,
      closedStates.map(({ x, sigma }) => {
        const share = (1 - (sigma / start) ** 3) / (6 * sigma ** 2);
        return { x: x.map((v, i) => v + share * correction[i]) };
      }),
    );
  }
  for (const components of [10, 30, 100]) {
    using model = await analytic(`mixture:${components}`);
    off(`mixture of ${components}`, await integratedLeg(model).follow(x, levels));
  }
  console.log(
    `\nmedian error after a teleport to ${sigma.toFixed(2)}, without and with a history:`,
  );
  for (const steps of [6, 8, 12, 20]) {
    const row: string[] = [];
    for (const sampler of [dpmpp2m(), dpmpp3m(), unipc()]) {
      const errors = [
        await withHistory(sampler, steps, false),
        await withHistory(sampler, steps, true),
      ];
      row.push(`${sampler.name} ${errors.map((v) => v.toExponential(2)).join(" ")}`);
    }
    console.log(`${steps} evaluations  ${row.join("   ")}`);
  }
}

/** `κ₃:(zzᵀ − I)` in the leading directions of the data, of starts as rows. */
function edgeworth(x: Float64Array, rank: number): Float64Array {
  const { mean, basis } = spectrum;
  const along = (row: ArrayLike<number>, k: number) => {
    let sum = 0;
    for (let c = 0; c < d; c++) sum += basis[k * d + c] * (row[c] - mean[c]);
    return sum;
  };
  const coordinates = (row: ArrayLike<number>) =>
    Float64Array.from({ length: rank }, (_, k) => along(row, k));
  const known = Array.from({ length: data.count }, (_, i) => coordinates(data.values(i)));
  const rows = new Float64Array(x.length);
  for (let b = 0; b < count; b++) {
    const z = coordinates(x.subarray(b * d, (b + 1) * d)).map((v) => v / start);
    const sum = new Float64Array(rank);
    for (const item of known) {
      const inner = item.reduce((sum, v, k) => sum + v * z[k], 0);
      const weight = (inner ** 2 - item.reduce((sum, v) => sum + v * v, 0)) / known.length;
      item.forEach((v, k) => sum[k] += weight * v);
    }
    sum.forEach((v, k) => {
      for (let c = 0; c < d; c++) rows[b * d + c] += v * basis[k * d + c];
    });
  }
  return rows;
}

/** The median error of a run whose sampler is, or is not, told what the leg saw at two levels above its landing. */
async function withHistory(
  sampler: MultistepSampler,
  steps: number,
  told: boolean,
): Promise<number> {
  const { sigmas } = gridOf(steps, sigma);
  const ratio = sigmas[0] / sigmas[1], above = [sigma * ratio ** 2, sigma * ratio];
  if (above[0] >= start) return NaN;
  // The starts of sample().
  const x = startNoise(0, 0, count, d).map((e) => start * e);
  const way = await leg.follow(x, [start, ...above, sigma]);
  const shape = [count, ...data.shape];
  const [first, ...denoised] = [way[2].x, way[1].denoised, way[0].denoised]
    .map((rows) => tensorSpace.from(rows, shape));
  const history = denoised.map((tensor, i) => ({ sigma: way[1 - i].sigma, denoised: tensor }));
  let values: ArrayLike<number> = [];
  for await (const at of sampler.run(denoiser, first, sigmas, told ? { history } : {})) {
    values = await tensorSpace.values(at.x);
  }
  tensorSpace.dispose(first, ...denoised);
  return judge(values)[0];
}

const wanted = options.only.split(",");
if (wanted.includes("table")) {
  for (const name of options.samplers.split(",")) await compare(name, leg);
}
if (wanted.includes("knee")) await knee();
if (wanted.includes("beyond")) await beyond();
