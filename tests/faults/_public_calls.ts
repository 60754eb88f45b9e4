/** Public functions with right arguments of each. */
import * as m from "../_helpers/inner_parts.ts";
import type { PublicCall } from "../_helpers/wrong_calls.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

// deno-lint-ignore no-explicit-any
const lib = m as any;
const floats = (count: number, scale = 1, seed = 1) =>
  Float32Array.from(m.startNoise(seed, 0, count, 1), (e) => scale * e);
const doubles = (count: number, scale = 1) => Float64Array.from(floats(count, scale));
const points = () => ({ data: floats(24), dimension: 2 });
const set = () => m.moons(20);
const images = () => m.tinyShapes(12);
const law = () => m.gaussianLaw([0.5, -0.5], [1, 0.2, 0.2, 2]);
const mixed = () =>
  m.mixtureLaw([1, 2], [m.gaussianLaw([1, 0], 0.5), m.gaussianLaw([-1, 0], 0.25)]);
const plane = (n: number) => floats(2 * n);
const exact = () => optimalFloat64(set());
const reports = () => [m.report("a statement", 1, 2)];
const norms = async () => {
  const data = m.moons(50);
  return await m.cumulantNorms(data, await m.dataSpectrum(data, { cache: false }));
};
const KNOWN_NORMS = await norms();
const logits = () => doubles(12).map((v) => -Math.abs(v)).sort().reverse();
const stream = () => new m.RandomStream({ seed: 1, purpose: "theory" });

/** Functions by name with their arguments, the places where any length goes, and whether they pass on what they get. */
const TABLE: Record<string, [args: () => unknown[], free?: readonly string[], echoes?: boolean]> = {
  sigmaOfAlphaBar: [() => [0.5]],
  alphaBarOfSigma: [() => [2]],
  sigmaOfFlowTime: [() => [0.5]],
  flowTimeOfSigma: [() => [2]],
  ddpmGrid: [() => [10]],
  karrasGrid: [() => [10, { sigmaMax: 80, sigmaMin: 0.01 }]],
  logSnrGrid: [() => [10, { sigmaMax: 80, sigmaMin: 0.01 }]],
  uniformTGrid: [() => [10, { start: 0.2 }]],
  gridByName: [() => ["ddpm", 10]],
  checkSigmas: [() => [[3, 2, 1, 0]], ["0"]],
  respacedGrid: [() => [m.ddpmGrid(5), 2], ["0.sigmas"], true],
  landingLevel: [() => [[3, 2, 1, 0], 1.5], ["0"]],
  startNoise: [() => [1, 0, 3, 4]],
  levelKey: [() => [1.5]],
  moons: [() => [10, { seed: 1, noise: 0.1 }]],
  circle: [() => [10, { seed: 1, noise: 0.1 }]],
  checkerboard: [() => [10, { seed: 1, cells: 4 }]],
  spirals: [() => [10, { seed: 1, noise: 0.1, arms: 2, turns: 1 }]],
  gaussianMixture: [() => [10, {
    means: [[0, 1], [2, 3]],
    weights: [1, 2],
    covariances: [1, [[1, 0], [0, 1]]],
    seed: 1,
  }]],
  shapes: [() => [2, { seed: 1, size: 8 }]],
  tinyShapes: [() => [3, { seed: 1 }]],
  encodeNpy: [() => [floats(6), [2, 3]], ["0.*"]],
  dataset: [() => [[[0, 1], [2, 3]], { shape: [2], name: "a" }], ["0", "1.shape"]],
  loadDataset: [() => ["moons:20", { limit: 5 }]],
  mse: [() => [floats(8), floats(8), { dimension: 4, toUnit: true }]],
  rSquared: [() => [floats(8), floats(8), { dimension: 4, toUnit: true }]],
  pearson: [() => [floats(8), floats(8), { dimension: 4, toUnit: true }]],
  agreement: [() => [floats(8), floats(8), { dimension: 4 }]],
  assignment: [() => [doubles(9)]],
  energyDistance: [() => [floats(8), floats(8), { dimension: 2 }]],
  mmd: [() => [floats(8), floats(8), { dimension: 2 }]],
  frechetDistance: [() => [floats(12), floats(12), { dimension: 2 }]],
  sinkhorn: [
    () => [floats(8), floats(8), { dimension: 2, epsilon: 0.5, tolerance: 1e-3, iterations: 50 }],
  ],
  sinkhornDivergence: [
    () => [floats(8), floats(8), { dimension: 2, epsilon: 0.5, iterations: 50 }],
  ],
  slicedWasserstein2: [() => [floats(8), floats(8), { dimension: 2, seed: 1 }]],
  wasserstein2: [() => [floats(8), floats(8), { dimension: 2 }]],
  wasserstein2OnLine: [() => [doubles(5), doubles(4)], ["0", "1"]],
  precisionRecall: [() => [floats(20), floats(20), { dimension: 2 }]],
  nearestItems: [() => [floats(4), points()]],
  solveLinear: [() => [[2, 1, 1, 3], [1, 2]]],
  symmetricEigen: [() => [[2, 1, 1, 3]]],
  gaussianLaw: [() => [[0, 1], [1, 0, 0, 2]]],
  denoiseGaussian: [() => [law(), doubles(2), 0.7]],
  transportGaussian: [() => [law(), doubles(2), 2, 1]],
  flowFactor: [() => [0.5, 2, 1]],
  logDensityGaussian: [() => [law(), doubles(2), 0.7]],
  drawGaussian: [() => [law(), doubles(2), 0.7]],
  gaussianTrajectory: [() => [law(), doubles(2), [3, 2, 1]], ["2"]],
  gaussianEndpoint: [() => [law(), doubles(2), 3, 1]],
  mixtureLaw: [() => [[1, 2], [m.gaussianLaw([1, 0], 1), m.gaussianLaw([0, 1], 1)]]],
  mixturePosterior: [() => [mixed(), doubles(2), 0.7]],
  mixtureLogits: [() => [mixed(), doubles(2), 0.7]],
  denoiseMixture: [() => [mixed(), doubles(2), 0.7]],
  meanOfMixture: [() => [mixed()]],
  gaussianOfMixture: [() => [mixed()]],
  drawMixture: [() => [mixed(), 0.3, doubles(2), 0.7]],
  lowRank: [() => [
    {
      mean: doubles(2),
      variances: Float64Array.of(2, 1),
      basis: Float64Array.of(1, 0, 0, 1),
      floor: 0,
    },
    1,
    0.5,
  ]],
  dataSpectrum: [() => [set(), { rank: 1, floor: 0.1, cache: false }]],
  fitMixture: [() => [set(), { components: 2, seed: 1 }]],
  kMeans: [() => [points(), 3, { seed: 1 }]],
  patchTable: [() => ["cifar-unet"]],
  patchSchedule: [() => [3, 16]],
  publishedTheta: [() => ["cifar10-pca"]],
  referencePosterior: [() => [points(), floats(4), 0.7]],
  referenceNeighbours: [() => [points(), floats(4), 3]],
  mergePosteriors: [() => [[m.referencePosterior(points(), floats(4), 0.7)]], ["0"]],
  maskOf: [() => [5, (a: number, b: number) => a >= b]],
  maskColumn: [() => [m.maskOf(5, (a, b) => a >= b), 2]],
  posteriorLogits: [() => [points(), floats(2), 0.7]],
  logSumExp: [() => [doubles(4)], ["0"]],
  restrictedMean: [() => [points(), logits(), [0, 2]], ["2"]],
  rowsByLogit: [() => [logits()], ["0"]],
  subsetSizes: [() => [logits(), 0.9], ["0"]],
  truncation: [() => [points(), logits(), [0, 2, 3]], ["2"]],
  sampledTail: [() => [points(), logits(), 3, 4, stream()]],
  knnImportance: [() => [points(), logits(), 3, 4, stream()]],
  averagedSoftmax: [() => [points(), logits(), 4]],
  tailMassBound: [() => [{ logTail: -1, count: 10, drawn: 3, largest: -1 }, 0.1]],
  gaussianDeviationBound: [() => [{ radius: 1, variance: 0.5 }, 1, 2]],
  lateStartBound: [() => [0.5, 0.1, 1, 2]],
  subsetSchedule: [() => ["described", { count: 100, k: [5, 10], m: [10, 25] }]],
  publishedSizes: [() => [1000, "afhq"]],
  smallestCertified: [() => [{ logits: logits(), logUnseen: -5 }, 0.1], ["0.logits"]],
  discardedMass: [() => [{ logits: logits(), logUnseen: -5 }], ["0.logits"]],
  transportMass: [() => [{ count: 5, logMass: -3, largest: -4 }, {
    sigma: 2,
    nextSigma: 1,
    distance: 0.1,
  }]],
  skipEstimate: [() => [{ ...KNOWN_NORMS }, 3, 10]],
  skipLevel: [() => [{ ...KNOWN_NORMS }, 0.1]],
  extentOf: [() => [set()]],
  samplerByName: [() => ["dopri5", { tolerance: 1e-3 }]],
  takesTolerance: [() => ["dopri5"], ["*"]],
  collocation: [() => [{ nodes: 8, tolerance: 1e-3 }]],
  picard: [() => [{ tolerance: 1e-3 }]],
  dopri5: [() => [{ tolerance: 1e-3 }]],
  dop853: [() => [{ tolerance: 1e-3 }]],
  unipc: [() => [{ order: 2, b: "B1" }]],
  exponentialAdams: [() => [2]],
  dpmpp3m: [() => [{ form: "taylor" }]],
  gaussianStatistics: [
    () => [{ mean: doubles(2), variances: Float64Array.of(2, 1), floor: 0 }, {
      sigmaMax: 40,
      sigmaMin: 0.01,
      intervals: 20,
    }],
    ["0.variances", "0.mean"],
  ],
  ringTarget: [() => [{ seed: 1 }]],
  sphereTarget: [() => [3, { seed: 1 }]],
  blankBitmap: [() => [3, 2, [1, 2, 3]]],
  joinBitmaps: [() => [[m.blankBitmap(1, 1), m.blankBitmap(2, 1)]], ["0"]],
  encodePng: [() => [m.blankBitmap(2, 2)]],
  imageGrid: [() => [floats(2 * 144), { shape: [12, 12, 1] }], ["1.shape"]],
  scatterImage: [() => [plane(5), { dimension: 2 }]],
  scatterSpec: [() => [[{ label: "a", points: plane(5), weights: [1, 2, 3, 4, 5] }]], ["0"], true],
  lineSpec: [() => [[{ label: "a", x: [1, 2, 3], y: [1, 4, 9] }]], ["0"]],
  heatmapSpec: [() => [[1, 2], [1, 2, 3], doubles(6)]],
  fieldSpec: [() => [plane(4), plane(4)]],
  theoryTable: [() => [reports()], ["0"]],
  sample: [() => [exact(), {
    count: 3,
    seed: 1,
    first: 0,
    batchSize: 2,
    grid: { name: "ddpm", sigmas: [3, 1, 0], startScale: 3, startAtMean: false },
    init: floats(6),
  }], ["1.grid.sigmas"]],
  optimal: [() => [set(), { device: "float64" }]],
  gaussian: [() => [law(), { device: "float64" }]],
  mixtureOf: [() => [mixed(), { device: "float64" }]],
  local: [() => [images(), { windows: 3, device: "float64" }]],
  equivariant: [() => [images(), { windows: 3, device: "float64" }]],
  openDevice: [() => ["float64"]],
  "arraySpace.combine": [() => [[1, 2], [doubles(3), doubles(3)]], [], true],
  "optimalFloat64().denoise": [() => [doubles(4), 0.7]],
  "Dataset": [
    () => [{ data: floats(6), shape: [2], name: "x", range: [-1, 1] }],
    ["0.range"],
    true,
  ],
  "Dataset.values": [() => [3]],
  "Dataset.take": [() => [3]],
  "Dataset.subset": [() => [[1, 2]], ["0"]],
  "Dataset.classSubset": [() => ["upper"]],
  "RandomStream": [() => [{ seed: 1, sample: 0, purpose: "theory", step: 0 }]],
};

const METHODS: Record<string, (...args: unknown[]) => unknown> = {
  "arraySpace.combine": (...args) => lib.arraySpace.combine(...args),
  "optimalFloat64().denoise": (...args) =>
    (optimalFloat64(set()).denoise as (...args: unknown[]) => unknown)(...args),
  "Dataset": (init) => new lib.Dataset(init),
  "Dataset.values": (index) => lib.moons(5).values(index),
  "Dataset.take": (n) => lib.moons(5).take(n),
  "Dataset.subset": (rows) => lib.moons(5).subset(rows),
  "Dataset.classSubset": (which) => lib.moons(5).classSubset(which),
  "RandomStream": (key) => new lib.RandomStream(key).uniform(),
};

/** All of them. */
export const PUBLIC_CALLS: readonly PublicCall[] = Object.entries(TABLE).map(
  ([name, [args, free, echoes]]) => ({ name, args, free, echoes, run: METHODS[name] ?? lib[name] }),
);
