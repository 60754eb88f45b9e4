/** Everything that takes options, with arguments that it takes: so that a misspelt option is all that is wrong. */
import * as m from "./all_entries.ts";
import type { Denoiser, Device } from "@closedform/diffusion";
import type { Network } from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs-core";
import { float64Tilted } from "../../src/compute/tilted.ts";
import { gaussianFloat64, localFloat64, optimalFloat64 } from "./float64.ts";

/** What the arguments are made of. */
export type Parts = Awaited<ReturnType<typeof openParts>>;

/** Opens what the arguments are made of; dispose it after use. */
export async function openParts() {
  const resources = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir();
  resources.defer(() => Deno.remove(folder, { recursive: true }));
  const device = resources.use(await m.openDevice("wasm"));
  const set = m.moons(12, { seed: 1 }), images = m.tinyShapes(6);
  const exact = resources.use(await m.optimal(set, { device }));
  const law = m.gaussianLaw([0.5, -0.5], 1);
  const network: Network = m.mlp({ shape: [2], width: 4, layers: 1 });
  const training = { network, steps: 1, batchSize: 2 } as const;
  const autoencoder = await m.trainAutoencoder(set, {
    ...{ latentDimension: 1, width: 4, steps: 1, batchSize: 2, backend: "cpu", cache: false },
  });
  const autoencoderFile = `${folder}/autoencoder.safetensors`;
  await Deno.writeFile(autoencoderFile, m.encodeAutoencoder(autoencoder));
  return {
    device,
    set,
    images,
    exact,
    exact64: optimalFloat64(set),
    law,
    mixed: m.mixtureLaw([1, 2], [law, m.gaussianLaw([1, 0], 0.5)]),
    spectrum: await m.dataSpectrum(set, { cache: false }),
    codec: resources.use(await m.pcaCodec(set, { rank: 1, cache: false })),
    trained: await m.trainDenoiser(set, { ...training, backend: "cpu" }),
    backend: resources.use(await m.openTrainingBackend("cpu")),
    leg: resources.use(m.gaussianLeg(law)),
    rows: Object.assign(sourceOf(), { name: "rows", shape: [2], summary: () => "rows" }),
    autoencoder,
    autoencoderFile,
    network,
    mesh: { vertices: Float64Array.of(0, 0, 0, 1, 0, 0, 0, 1, 0), faces: Uint32Array.of(0, 1, 2) },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function sourceOf() {
  return {
    ...{ count: 3, dimension: 2, bytes: false },
    read: (_first: number, _rows: number, target: Uint8Array | Float32Array) =>
      Promise.resolve(void target.fill(1)),
  };
}

const state = () => Float64Array.of(1, 1);
const floats = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i + 1));
const points = () => ({ data: floats(24), dimension: 2 });
const gaussianFlow = (law: Parts["law"]) => m.gaussianFlow(law);

/** The arguments of each function and constructor, up to its options and with those that it demands. */
export const CALLS: Readonly<Record<string, (parts: Parts) => readonly unknown[]>> = {
  adamStep: () => [
    m.beginOptimising({ a: m.zeroWeight([1]) }),
    { a: Float32Array.of(1) },
  ],
  ambientTarget: () => [2],
  agreement: () => [floats(4), floats(4), { dimension: 2 }],
  assignment: () => [Float64Array.of(1)],
  autoencoderCodec: ({ autoencoder }) => [autoencoder, { backend: "cpu" }],
  builtinShapes: () => [],
  calibratePatches: ({ images }) => [localFloat64(images, { windows: 3 }), "clean"],
  checkerboard: () => [3],
  circle: () => [3],
  cloudSpec: () => [[{ label: "a", points: [1, 2, 3] }]],
  collocation: () => [],
  compareAgreement: ({ exact64 }) => [exact64, { exact64 }],
  compareDenoisers: ({ exact, exact64 }) => [{ exact, exact64 }],
  compareSamplers: ({ exact64 }) => [exact64],
  compareScores: ({ exact64, law }) => [exact64, { gaussian: gaussianFloat64(law) }],
  compareTeleports: ({ exact64 }) => [exact64],
  concentration: () => [points(), floats(2), [1]],
  crossingLevel: ({ exact64, law }) => [exact64, gaussianFloat64(law), exact64],
  cumulantNorms: ({ set, spectrum }) => [set, spectrum],
  dataSpectrum: ({ set }) => [set],
  dataset: () => [[[0, 1], [2, 3]]],
  ddim: () => [],
  decodeNetwork: ({ trained }) => [m.encodeNetwork(trained), "a network"],
  denoiserAgreement: ({ exact64 }) => [exact64, exact64, state(), 1],
  denoisingLoss: ({ network, set }) => [network, set, m.edmPreconditioning()],
  dirichletAverage: ({ set }) => [set],
  dop853: () => [],
  dopri5: () => [],
  dpmV3: ({ law }) => [{ statistics: m.gaussianStatistics(law, { intervals: 5 }) }],
  dpmV3Statistics: ({ exact64, set }) => [exact64, set],
  dpmpp1: () => [],
  dpmpp2m: () => [],
  dpmpp3m: () => [],
  empiricalFlow: ({ set }) => [set],
  encodeDataset: ({ set, codec }) => [set, codec],
  encodePly: () => [floats(3)],
  endEstimate: ({ exact }) => [exact, { x: query(2) }],
  energyDistance: () => [floats(4), floats(4), { dimension: 2 }],
  equivariant: ({ images }) => [images, { windows: 3 }],
  errorToFullScan: ({ exact64 }) => [exact64, exact64, state(), 1],
  euler: () => [],
  exactFlow: ({ law }) => [{
    ...{ name: "a flow", mean: law.mean, draw: () => state() },
    denoise: (x: Float64Array) => x,
    transport: (x: Float64Array) => x,
  }],
  explainedScore: ({ exact64, law }) => [exact64, gaussianFloat64(law), state(), 1],
  explainedVariance: () => [floats(4), floats(4), { dimension: 2 }],
  exponentialAdams: () => [2],
  fieldSpec: () => [floats(4), floats(4)],
  fitMixture: ({ set }) => [set, { components: 2 }],
  frechetDistance: () => [floats(8), floats(8), { dimension: 2 }],
  functionDenoiser: () => [(x: Float64Array) => x, { shape: [2], space: m.arraySpace }],
  gaussian: ({ law }) => [law],
  gaussianAxes: ({ law }) => [law],
  gaussianEndpoint: ({ law }) => [law, state(), 2, 1],
  gaussianFlow: ({ law }) => [law],
  gaussianLeg: ({ law }) => [law],
  gaussianMixture: () => [3],
  gaussianStatistics: ({ law }) => [law],
  gaussianTrajectory: ({ law }) => [law, state(), [2, 1]],
  goldenSubset: ({ exact }) => [exact],
  heatmapSpec: () => [[1], [1, 2], floats(2)],
  heun: () => [],
  imageGrid: () => [floats(4), { shape: [2, 2] }],
  integratedLeg: ({ exact64 }) => [exact64],
  isotropicMixture: () => [[[1, 2], [0, 1]]],
  kMeans: () => [points(), 2],
  karrasGrid: () => [5],
  kernelDensity: ({ exact }) => [exact],
  legDeviation: ({ exact64 }) => [exact64, exact64],
  lineSpec: () => [[{ label: "a", x: [1, 2], y: [1, 2] }]],
  loadAutoencoder: ({ autoencoderFile }) => [autoencoderFile, { backend: "cpu" }],
  loadDataset: () => ["moons:3"],
  loadStore: ({ device }) => [sourceOf(), device],
  local: ({ images }) => [images, { windows: 3 }],
  localAverage: ({ set }) => [set],
  localityMask: ({ spectrum }) => [spectrum, 1, { theta: 0.1 }],
  logSnrGrid: () => [5],
  memorisedDistance: () => [points()],
  mixture: ({ set }) => [set, { components: 2 }],
  mixtureFlow: ({ mixed }) => [mixed],
  mixtureOf: ({ mixed }) => [mixed],
  mlp: () => [{ shape: [2] }],
  mmd: () => [floats(4), floats(4), { dimension: 2 }],
  moons: () => [3],
  mse: () => [floats(4), floats(4), { dimension: 2 }],
  multistep: () => [
    { name: "a method", order: 1, outputs: 1, references: [] },
    { predict: (h: number) => [-Math.expm1(-h)] },
  ],
  nearestItems: () => [floats(2), points()],
  neighbourEstimator: ({ exact }) => [exact],
  neural: () => [(x: tf.Tensor) => tf.zerosLike(x), { shape: [2] }],
  "new CertifiedSearch": ({ exact }) => [exact.store],
  notebookProgress: () => ["work"],
  openDevice: () => ["wasm"],
  useDevice: () => ["wasm"],
  openRows: () => ["missing.npy"],
  optimal: ({ set }) => [set],
  optimise: ({ backend }) => [
    () => tf.scalar(1),
    m.beginOptimising({ a: m.zeroWeight([1]) }),
    { backend, steps: 1 },
  ],
  panelsSpec: () => [[m.lineSpec([{ label: "a", x: [1], y: [1] }])]],
  pcaCodec: ({ set }) => [set, { rank: 1, cache: false }],
  pcaLocality: ({ set }) => [set, { cache: false }],
  pcaProxy: ({ exact, device, spectrum }) => [exact.store, device, spectrum.basis],
  pearson: () => [floats(4), floats(4), { dimension: 2 }],
  picard: () => [],
  plainPreconditioning: () => [],
  pointFlow: () => [[1, 2]],
  pooledProxy: ({ images, device }) => [images, device],
  posteriorSpec: () => [floats(4), [{ sigma: 1, weights: [1, 1] }]],
  precisionRecall: () => [floats(20), floats(20), { dimension: 2 }],
  projection: () => [],
  rSquared: () => [floats(4), floats(4), { dimension: 2 }],
  randomAverage: ({ set }) => [set],
  readCifar10: () => ["missing"],
  readCifar100: () => ["missing"],
  readCsv: () => ["missing"],
  readGaussianLaw: () => ["missing"],
  readIdx: () => ["missing"],
  readImages: () => ["missing"],
  readMesh: () => ["missing"],
  readMnist: () => ["missing"],
  readNetwork: () => ["missing"],
  readNpy: () => ["missing"],
  readNpz: () => ["missing"],
  referenceMasked: () => [points(), floats(2), 1, m.maskOf(2, () => true)],
  referenceWindowed: ({ images }) => [images, floats(144), 1, { shape: [12, 12, 1], patch: 3 }],
  ringTarget: () => [],
  rk4: () => [],
  sample: ({ exact64 }) => [exact64],
  sampleSteps: ({ exact64 }) => [exact64],
  sampleMesh: ({ mesh }) => [mesh],
  scatterImage: () => [floats(4), { dimension: 2 }],
  scatterSpec: () => [[{ label: "a", points: floats(4) }]],
  shapes: () => [1],
  show: () => ["text"],
  sinkhorn: () => [floats(4), floats(4), { dimension: 2, epsilon: 0.5 }],
  sinkhornDivergence: () => [floats(4), floats(4), { dimension: 2, epsilon: 0.5 }],
  slicedWasserstein2: () => [floats(4), floats(4), { dimension: 2 }],
  smoothed: ({ exact }) => [exact, { bandwidth: 0.1 }],
  smoothingDefaults: ({ set }) => [set],
  sphereTarget: () => [2],
  spirals: () => [3],
  straightened: ({ law }) => [law],
  streamStore: ({ device }) => [sourceOf(), device],
  streamedMean: () => [sourceOf()],
  subsetSchedule: () => ["described", { count: 100 }],
  teleport: ({ leg }) => [m.heun(), leg, { sigma: 1.5 }],
  tiledGoldenSubset: ({ images }) => [m.local(images, { windows: 3, device: "wasm" })],
  tinyShapes: () => [1],
  trainAutoencoder: ({ set }) => [set],
  trainDenoiser: ({ set }) => [set],
  trainedDenoiser: ({ trained, backend }) => [trained, { backend }],
  trainingBatch: ({ set }) => [set, m.edmPreconditioning(), 1],
  trajectoryImage: () => [[{ sigma: 1, x: floats(2) }], { shape: [2] }],
  uniformTGrid: () => [5],
  unet: () => [{ shape: [4, 4, 1] }],
  unipc: () => [],
  wasserstein2: () => [floats(4), floats(4), { dimension: 2 }],
  wiener: ({ set }) => [set, { cache: false }],
};

// deno-lint-ignore no-explicit-any -- of any interface
type Any = any;

const query = (dimension: number) =>
  m.tensorSpace.from(new Float32Array(dimension), [1, dimension]);
const stateOf = ({ space, shape }: Denoiser<unknown>) =>
  space.from(new Float64Array(shape.reduce((a, b) => a * b, 1)), [1, ...shape]);
/** A store has dimensions, a denoiser a shape. */
const rowOf = (object: Any) => object.shape ? stateOf(object) : query(object.dimension);
const subset = () => [{ rows: Uint32Array.of(0) }];

/** The arguments of each method, up to its options and with those that it demands. */
export const METHODS: Readonly<Record<string, (object: Any, parts: Parts) => readonly unknown[]>> =
  {
    decode: ({ latentDimension }) => [floats(latentDimension)],
    denoise: (denoiser) => [stateOf(denoiser), 1],
    distancesTo: (store) => [rowOf(store), [Uint32Array.of(0)]],
    encode: ({ shape }: { shape: number[] }) => [floats(shape.reduce((a, b) => a * b, 1))],
    find: () => [[]],
    follow: () => [state(), [2, 1]],
    load: () => [sourceOf()],
    masked: ({ dimension }) => [floats(dimension), 1, m.maskOf(dimension, () => true)],
    mean: (tilted) => [
      tilted.float64 ? state() : query(2),
      1,
      { tilts: { count: 1, of: () => state() }, strengths: [1] },
    ],
    measure: (proxy, { images }) => [
      query(proxy.label.includes("pixels") ? images.dimension : 2),
      undefined,
    ],
    nearest: (store) => [rowOf(store), 1],
    perPixel: (denoiser) => [stateOf(denoiser), 1],
    posterior: (object) => [rowOf(object), 1],
    posteriorOn: (store) => [rowOf(store), 1, subset()],
    run: (_sampler, { law }) => [gaussianFlow(law).denoiser, state(), [2, 1]],
    scale: () => [query(2), () => 1],
    transport: () => [state(), 2, 1],
    windowed: ({ dimension }) => [floats(dimension), 1, { shape: [1, dimension, 1], patch: 1 }],
  };

/** Objects that are no results of a function, but parts of one. */
export const MORE: Readonly<
  Record<string, (parts: Parts, devices: readonly Device[]) => Promise<readonly Any[]>>
> = {
  CertifiedSearch: ({ exact }) => Promise.resolve([new m.CertifiedSearch(exact.store!)]),
  DataStore: ({ set }, devices) => Promise.all(devices.map((device) => device.store(set))),
  Denoiser: ({ law }) => Promise.resolve([gaussianFlow(law).denoiser]),
  Device: (_parts, devices) => Promise.resolve(devices),
  TiltedPosterior: ({ exact, set }) => Promise.resolve(tilted(exact, set)),
  TiltedStore: ({ exact, set }) => Promise.resolve(tilted(exact, set)),
};

const tilted = (exact: Parts["exact"], set: Parts["set"]) => [
  { ...exact.store!.tilted, float64: false },
  { ...float64Tilted(set), float64: true },
];
