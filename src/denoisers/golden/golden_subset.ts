/**
 * The golden subset: a denoiser over a few items of the data, another few for each query.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../../base/_options.ts";
import { inTurns } from "../../base/_turns.ts";
import * as tf from "@tensorflow/tfjs-core";
import { batchOf, disposeState, numbersOf, queriesOn, roomLike } from "../../compute/batch.ts";
import type { State, StateNumbers } from "../../compute/batch.ts";
import type { DataStore, Device } from "../../compute/device.ts";
import type { DeviceChoice } from "../../compute/use_device.ts";
import {
  checkEvaluateOptions,
  checkQueries,
  emptyFacts,
  samplePerRow,
  sigmaPerRow,
} from "../../compute/posterior.ts";
import type {
  EvaluateOptions,
  PointSet,
  Posterior,
  PosteriorFacts,
  Sigma,
} from "../../compute/posterior.ts";
import { posteriorInParts } from "../../compute/float64/posterior.ts";
import { logitFacts } from "../../compute/subset_posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { AnyTensor } from "../../states/linear_space.ts";
import { CertifiedSearch } from "./certified_search.ts";
import { certifiedChooser, EVERYTHING, scheduledChooser } from "./chooser.ts";
import type { Choice, Chooser } from "./chooser.ts";
import type { QueryBatch } from "./query_batch.ts";
import { extentInParts } from "./extent.ts";
import type { Extent } from "./extent.ts";
import { pcaProxy } from "./pca_proxy.ts";
import { pooledProxy, poolingSide } from "./pooled_proxy.ts";
import { exactProxy } from "./proxy.ts";
import type { RetrievalProxy } from "./proxy.ts";
import { MeanRounding } from "./rounded_mean.ts";
import { publishedSizes, subsetSchedule } from "./schedule.ts";
import type { ScheduleName, SizeRange, SizesName } from "./schedule.ts";
import { ScheduledSearch } from "./scheduled_search.ts";
import { stopButton } from "../../base/stop_button.ts";
import { baseOf } from "../base_denoiser.ts";
import type { StatesOf } from "../base_denoiser.ts";
import { dataOf, keepCapabilities, subsetOf } from "../_capabilities.ts";
import type { SubsetAccess } from "../_capabilities.ts";
import { inWholeSet } from "../_whole_items.ts";
import { DATA_OPTIONS } from "../data_source.ts";
import type { DataOptions, DataSource } from "../data_source.ts";
import type { Denoised, Denoiser } from "../denoiser.ts";
import type { StoredDenoiser } from "../optimal.ts";
import { dataSpectrum } from "../gaussian/spectrum.ts";

/**
 * Where golden subsets come from.
 *
 * @example
 * ```ts
 * import { GOLDEN_REFERENCE } from "./golden_subset.ts";
 * import assert from "node:assert/strict";
 *
 * assert.match(GOLDEN_REFERENCE, /arXiv:2602\.16498/);
 * ```
 */
export const GOLDEN_REFERENCE: string =
  "X. Shang, P. Sun, J. Lin, Z. Shen (2026), Fast and scalable analytical diffusion, arXiv:2602.16498";
const ACTION = "denoise by a golden subset";

/** Options of {@linkcode goldenSubset}. */
export interface GoldenSubsetOptions<D extends DeviceChoice = DeviceChoice> extends DataOptions<D> {
  /**
   * A promise instead of scheduled sizes: at every evaluation, with every sampler, the posterior mean is within this of that
   * over all items at the same state, rounding included; the root mean square per number, in data units. How far the end of
   * a run then is from that of the exact one is not promised: see `endEstimate()`. Only for a base that is
   * the posterior mean itself.
   */
  readonly tolerance?: number;
  /** Items that a certified search finds and keeps for later steps. Default 1024. */
  readonly retained?: number;
  /**
   * Size of the subset, its range over the noise levels, or the name of published ones. Default {@linkcode publishedSizes},
   * `[N/20, N/10]` whatever the data are.
   */
  readonly k?: SizeRange | SizesName;
  /** Number of candidates, or its range. Default from the largest `k` to `N/4`. */
  readonly m?: SizeRange;
  /** Which schedule. Default `"described"`. */
  readonly schedule?: ScheduleName;
  /**
   * How candidates are found: by pooled pixels, by 128 principal components (which takes the data's spectrum), by exact
   * distances, or by a proxy of your own. Default `"pooled"` for images that squares of pixels fill, at least 4 along a side, else `"exact"`.
   */
  readonly proxy?: "pooled" | "pca" | "exact" | RetrievalProxy;
  /**
   * Whether half of each subset is a reweighted sample of all items outside of the other half. Default: where that helps,
   * which is with the schedule `"described"` and a base that is the posterior mean.
   */
  readonly tail?: boolean;
  /** Seed of random pools and tails. Default 0. */
  readonly seed?: number;
  /** Cancels the preparation, which then rejects with `signal.reason`. So does the Stop button of a notebook. */
  readonly signal?: AbortSignal;
}

/** A denoiser over a golden subset, which also tells what it left out. */
export interface GoldenSubset<X = AnyTensor> extends StoredDenoiser<X> {
  /** The estimate and, per row, facts of the posterior over the subset and of what it leaves out. */
  denoise(
    x: X,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Denoised<X, Required<PosteriorFacts>>>;
}

const OPTIONS = {
  ...DATA_OPTIONS,
  tolerance: undefined,
  retained: undefined,
  k: undefined,
  m: undefined,
  schedule: undefined,
  proxy: undefined,
  tail: undefined,
  seed: undefined,
  signal: undefined,
} satisfies OptionTable<GoldenSubsetOptions>;

/**
 * Restricts a denoiser to a golden subset: for each query the few items of the data that matter, found
 * again at every noise level. In one of three ways:
 *
 * - **with a tail** (default): candidates by a coarse proxy over all items, the best of them by exact
 *   distances, numbers by a schedule; half of the subset are the best, the other half is a uniform sample of all other
 *   items, reweighted to stand for them, so that high noise is right too;
 * - **scheduled** (`tail: false`): the best alone, as published. At high noise these are flat images of
 *   low norm, whatever the query. The error has a bound where the proxy gives one;
 * - **certified** (`tolerance`): the smallest subset that the truncation theorem proves to be enough,
 *   `‖D − D_S‖ ≤ 2R ε`, searched for or carried over from an earlier step; all items where no subset is enough. The error of
 *   a posterior mean is within the tolerance at every evaluation, rounding included: where the bound of a device's
 *   float32 rounding exceeds it, the mean is computed in float64. Not even that is enough for queries so far from
 *   the data that float64 cannot tell items apart: then `certified` is 0.
 *   A certified mean at each state is no promise for the end of a run: a trajectory that is about to
 *   choose between two items may choose the other one, however small the error.
 *
 * With a base whose weights differ from pixel to pixel, a subset chosen by whole images makes another
 * estimator, which does not tend to the base as it grows more certain; it has no bound, and a
 * tolerance is refused.
 *
 * Reference: arXiv:2602.16498 for the golden subset, its schedules and pooling. Tail, certificates and their
 * transport are derived here.
 *
 * @param source The denoiser to restrict, which brings its data, class and device; it is not disposed with this one. Or a data set:
 * then that of `optimal()` is restricted.
 * @param options Tolerance, sizes, schedule, proxy, tail, seed, signal; of a data set also class and device.
 * @returns The restricted denoiser. Dispose it after use.
 * @throws {RangeError} If an option is out of range, options exclude each other, the class does not exist,
 * or a tolerance is asked of a base with weights per pixel, or is below what a mean of float32 numbers is off by.
 * @throws {DeviceError} If the device cannot hold what the search needs.
 * @throws {TypeError} If there is no such option, or the base holds no data in memory.
 *
 * @example A certificate: never further from the exact denoiser than allowed
 * ```ts
 * import { goldenSubset, shapes } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const set = shapes(500);
 * using golden = await goldenSubset(set, { tolerance: 1e-3, device: "wasm" });
 * const x = tensorSpace.from(set.values(3), [1, ...set.shape]);
 * const { mean, subsetSize, errorBound } = await golden.denoise(x, 0.5);
 * assert.equal(subsetSize[0], 1);
 * assert.ok(errorBound[0] <= 1e-3);
 * tensorSpace.dispose(x, mean);
 * ```
 */
export async function goldenSubset<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: GoldenSubsetOptions<D> = {},
): Promise<GoldenSubset<StatesOf<S, D>>> {
  checkOptionNames("make a golden subset", options, OPTIONS);
  using resources = new DisposableStack();
  const base = await baseOf("make a golden subset", source, options, resources);
  return await restricted(base, options, resources) as GoldenSubset<State> as GoldenSubset<
    StatesOf<S, D>
  >;
}

async function restricted<X>(
  base: Denoiser<X>,
  options: GoldenSubsetOptions,
  resources: DisposableStack,
): Promise<GoldenSubset<X>> {
  const whole = subsetOf(base, "make a golden subset");
  const { dataset, device } = dataOf(base, "make a golden subset");
  checkOptions(base.label, whole, options);
  using stop = stopButton(options.signal);
  const { signal } = stop;
  signal?.throwIfAborted();
  const store = whole.store ?? resources.adopt(await device.store(dataset), (s) => s.dispose());
  // Only of the posterior mean itself is anything known.
  const extent = whole.store && await inTurns(extentInParts(dataset), signal);
  const rounding = extent && new MeanRounding(extent, dataset);
  const chooser = options.tolerance === undefined
    ? await scheduled(whole, dataset, store, device, { ...options, signal }, resources, extent)
    : certified(dataset, store, options.tolerance, options, extent!, rounding!);
  const held = resources.move();
  const golden: GoldenSubset<X> = {
    label: `golden subset (${chooser.label}) of the ${base.label}`,
    references: [GOLDEN_REFERENCE, ...base.references],
    shape: base.shape,
    space: base.space,
    mean: () => dataset.mean(),
    draw: (stream) => dataset.values(stream.below(dataset.count)),
    rms: (enough) => dataset.rms(enough),
    ...(chooser.draws && { drawsPerLevel: true }),
    async denoise(x, sigma, evaluate) {
      const parts = {
        base: subsetOf(base, ACTION),
        data: dataset,
        store,
        chooser,
        rounding,
        device,
      };
      const { mean, facts } = await restrictedPosterior(parts, x as State, sigma, evaluate);
      return { mean: mean as X, ...inWholeSet(facts, dataset.items) };
    },
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
  keepCapabilities(golden, { data: { dataset, device } });
  return golden;
}

function checkOptions(
  label: string,
  base: SubsetAccess,
  { tolerance, k, m, schedule, proxy, tail }: GoldenSubsetOptions,
): void {
  const refuse = (what: string, wanted: string) => {
    throw new RangeError(`Cannot make a golden subset: ${what}, wanted ${wanted}`);
  };
  if (tolerance === undefined) return;
  if (!(tolerance > 0 && tolerance < Infinity)) {
    refuse(`the tolerance is ${tolerance}`, "a finite number > 0");
  }
  if (!base.store) {
    refuse(
      `a tolerance was asked of the ${label}, whose weights differ from pixel to pixel, so that no bound holds`,
      "a base that is the posterior mean",
    );
  }
  const sizes = { k, m, schedule, proxy, tail };
  const clash = Object.entries(sizes).find(([, value]) => value !== undefined && value !== false);
  if (clash) {
    refuse(`${clash[0]} comes with a tolerance, which chooses the items itself`, "one of them");
  }
}

async function scheduled(
  base: SubsetAccess,
  data: Dataset,
  store: DataStore,
  device: Device,
  { schedule: name = "described", k, m, proxy, tail: wantsTail, seed, signal }: GoldenSubsetOptions,
  resources: DisposableStack,
  extent: Extent | undefined,
): Promise<Chooser> {
  const { count, dimension, shape } = data;
  const sizes = typeof k === "string" ? publishedSizes(count, k) : k ?? publishedSizes(count);
  const tail = wantsTail ?? (name === "described" && base.store !== undefined);
  const schedule = subsetSchedule(name, {
    count,
    k: sizes,
    ...(m !== undefined && { m }),
  });
  const pools = shape.length === 3 && poolingSide(shape) !== undefined;
  const wanted = proxy ?? (pools ? "pooled" : "exact");
  let found: RetrievalProxy;
  if (wanted === "exact") found = exactProxy(store);
  else if (wanted === "pooled") found = resources.use(await pooledProxy(data, device, { signal }));
  else if (wanted === "pca") found = resources.use(await principal(data, store, device, signal));
  else found = wanted;
  if (found.count !== count) {
    throw new RangeError(
      `Cannot make a golden subset: the proxy has ${found.count} items, wanted the ${count} of the data`,
    );
  }
  const search = new ScheduledSearch(store, found, schedule, { tail, seed });
  // The posterior mass of whole items bounds no error of weights per pixel.
  const unit = extent ? extent.diameter / Math.sqrt(dimension) : Infinity;
  return scheduledChooser(search, `${name}${tail ? " with a sampled tail" : ""}`, unit);
}

/** The proxy of the leading principal components. */
async function principal(
  data: Dataset,
  store: DataStore,
  device: Device,
  signal?: AbortSignal,
): Promise<RetrievalProxy> {
  const rank = Math.min(COMPONENTS, data.dimension);
  const { basis } = await dataSpectrum(data, { rank, signal });
  return await pcaProxy(store, device, basis, { signal });
}

const COMPONENTS = 128;

function certified(
  data: Dataset,
  store: DataStore,
  tolerance: number,
  { retained }: GoldenSubsetOptions,
  { diameter, spread }: Extent,
  { least, slack }: MeanRounding,
): Chooser {
  // Room for float64 rounding, which is far below.
  const possible = least * (1 + 2 ** -10);
  if (!(tolerance > possible)) {
    throw new RangeError(
      `Cannot make a golden subset: the tolerance is ${tolerance}, and rounding a mean of these data to float32 costs up to ${
        least.toPrecision(2)
      }, wanted a tolerance above ${possible.toPrecision(3)}`,
    );
  }
  const search = new CertifiedSearch(store, {
    spread,
    slack,
    ...(retained !== undefined && { retained }),
  });
  return certifiedChooser(search, tolerance, diameter / Math.sqrt(data.dimension), least);
}

/** What an evaluation needs. */
interface Parts {
  readonly base: SubsetAccess;
  /** The items that subsets are chosen from, as they came. */
  readonly data: Dataset;
  /** The same on their device. */
  readonly store: DataStore;
  readonly chooser: Chooser;
  /** What rounding costs; absent where weights differ from pixel to pixel. */
  readonly rounding: MeanRounding | undefined;
  readonly device: Device;
}

/** A posterior over chosen items, with all facts. */
type GoldenPosterior<X = State> = Posterior<X> & { readonly facts: Required<PosteriorFacts> };

async function restrictedPosterior<X extends State>(
  parts: Parts,
  x: X,
  sigma: Sigma,
  options: EvaluateOptions = {},
): Promise<GoldenPosterior<X>> {
  checkEvaluateOptions(ACTION, options);
  const { store, chooser, device } = parts;
  const asked = batchOf(x, store.dimension, ACTION);
  const sigmas = sigmaPerRow(sigma, asked.rows, ACTION);
  const samples = samplePerRow(options, asked.rows, ACTION);
  options.signal?.throwIfAborted();
  // The caller may dispose the state while it is worked on.
  const held = asked.copy();
  try {
    const values = await queriesOn(device, asked);
    checkQueries(values, ACTION);
    const query = x instanceof tf.Tensor ? held : values;
    const batch = { x: query, values, sigmas, samples, run: options.run };
    const choices = await chooser.choose(batch, options.signal);
    const posterior = await overChoices(parts, batch, choices, options.signal);
    const { mean, facts } = await promised(parts, batch, choices, posterior, options.signal);
    chooser.tell?.(batch, facts);
    const isLike = mean instanceof tf.Tensor === x instanceof tf.Tensor;
    return { mean: isLike ? mean as X : asked.like(await numbersOf(mean)), facts };
  } finally {
    asked.dispose(held);
  }
}

/** Computes again, more and more exactly, what is not within the tolerance yet. */
async function promised(
  parts: Parts,
  batch: QueryBatch,
  choices: readonly Choice[],
  { mean, facts }: GoldenPosterior,
  signal?: AbortSignal,
): Promise<GoldenPosterior> {
  const { tolerance } = parts.chooser;
  const { errorBound: bounds, certified } = facts;
  if (tolerance === undefined) return { mean, facts };
  const open = [...bounds.keys()].filter((q) => !(bounds[q] <= tolerance));
  let better = mean;
  if (open.length > 0) {
    const values = (await numbersOf(mean)).slice();
    disposeState(mean);
    for (const q of open) {
      values.set(
        await exactly(parts, batch, choices[q], facts, q, signal),
        q * parts.data.dimension,
      );
    }
    better = values;
  }
  bounds.forEach((bound, q) => certified[q] = bound <= tolerance ? 1 : 0);
  return { mean: better, facts };
}

/** One row by distances in float64: first with the device's sums, then in float64 altogether. Writes its bound. */
async function exactly(
  parts: Parts,
  batch: QueryBatch,
  choice: Choice,
  facts: PosteriorFacts,
  q: number,
  signal?: AbortSignal,
): Promise<StateNumbers> {
  signal?.throwIfAborted();
  const { store, chooser, data } = parts;
  if (!choice.subset && store.rounding?.exactDistances) {
    const one = someOf(batch, [q]);
    const [all] = await everyItem(parts, one, signal);
    const found = await overSubsets(parts, one, [{ ...EVERYTHING, subset: all }], signal);
    if (found.facts.errorBound![0] <= chooser.tolerance!) {
      copyFacts(facts, q, found.facts, 0);
      return await numbersOf(found.mean);
    }
  }
  const rows = choice.subset?.rows;
  const points = rows ? rowsOf(data, rows) : data;
  const work = posteriorInParts(points, rowOf(batch.values, q, data), batch.sigmas[q]);
  const found = await inTurns(work, signal);
  copyFacts(facts, q, found.facts, 0);
  const top = found.facts.topIndex[0];
  facts.topIndex[q] = rows ? rows[top] : top;
  facts.errorBound![q] = choice.bound +
    parts.rounding!.ofFloat64(rows?.length ?? data.count, batch.sigmas[q], facts, q);
  return batch.values instanceof Float64Array ? found.mean : Float32Array.from(found.mean);
}

/** All items as a subset, with logits that were measured. */
async function everyItem(
  { store, rounding }: Parts,
  { x, sigmas }: QueryBatch,
  signal?: AbortSignal,
): Promise<NonNullable<Choice["subset"]>[]> {
  const rows = Uint32Array.from({ length: store.count }, (_, i) => i);
  const lists = Array.from(sigmas, () => rows);
  const { squares, errors } = await store.distancesTo(x, lists, { signal });
  return squares.map((list, q) => {
    const sigma = sigmas[q], rate = 0.5 / (sigma * sigma);
    const logits = list.map((square) => -square * rate);
    const slack = logits.map((logit, i) => errors[q][i] * rate + rounding!.slack(logit, sigma));
    return { rows, logits, slack };
  });
}

/** Some rows of the data. */
function rowsOf({ data, dimension, range }: Dataset, rows: Uint32Array): PointSet {
  const some = data instanceof Uint8Array
    ? new Uint8Array(rows.length * dimension)
    : new Float32Array(rows.length * dimension);
  rows.forEach((row, i) =>
    some.set(data.subarray(row * dimension, (row + 1) * dimension), i * dimension)
  );
  return { data: some, dimension, range };
}

function copyFacts(to: PosteriorFacts, q: number, from: PosteriorFacts, at: number): void {
  for (const name of Object.keys(from) as (keyof PosteriorFacts)[]) to[name]![q] = from[name]![at];
}

/** The posterior of queries over their chosen items, and of the others over all items. */
async function overChoices(
  parts: Parts,
  batch: QueryBatch,
  choices: readonly Choice[],
  signal?: AbortSignal,
): Promise<GoldenPosterior> {
  const places = [...choices.keys()];
  const chosen = places.filter((q) => choices[q].subset),
    all = places.filter((q) => !choices[q].subset);
  // A batch that is not mixed stays where it is.
  if (all.length === 0) return await overSubsets(parts, batch, choices, signal);
  if (chosen.length === 0) return await overAll(parts, batch, choices, signal);
  const means = roomLike(batch.values, batch.values.length);
  const facts = roomForFacts(choices.length);
  for (const [rows, evaluate] of [[chosen, overSubsets], [all, overAll]] as const) {
    const some = someOf(batch, rows);
    const { mean, facts: found } = await evaluate(parts, some, rows.map((q) => choices[q]), signal);
    const numbers = await numbersOf(mean), d = parts.store.dimension;
    rows.forEach((q, i) => {
      means.set(numbers.subarray(i * d, (i + 1) * d), q * d);
      copyFacts(facts, q, found, i);
    });
  }
  return { mean: means, facts };
}

async function overSubsets(
  { base, rounding }: Parts,
  { x, sigmas, samples }: QueryBatch,
  choices: readonly Choice[],
  signal?: AbortSignal,
): Promise<GoldenPosterior> {
  const subsets = choices.map(({ subset }, q) => {
    const { rows, logits, logWeights } = subset!;
    const rate = -2 * sigmas[q] * sigmas[q];
    return {
      rows,
      logits,
      squares: logits.map((logit, i) => (logit - (logWeights?.[i] ?? 0)) * rate),
      ...(logWeights && { logWeights }),
    };
  });
  const facts = roomForFacts(choices.length);
  subsets.forEach(({ rows, logits }, q) => logitFacts(rows, logits, facts, q));
  const store = base.store?.rounding;
  writeChoices(
    choices,
    facts,
    (q) => subsets[q].rows.length,
    (q) => rounding && store ? rounding.ofListed(store, choices[q].subset!) : Infinity,
  );
  const mean = await base.denoiseOn(x, sigmas, subsets, { samples, ...(signal && { signal }) });
  return { mean, facts };
}

async function overAll(
  { store, rounding }: Parts,
  { x, values, sigmas }: QueryBatch,
  choices: readonly Choice[],
  signal?: AbortSignal,
): Promise<GoldenPosterior> {
  const { mean, facts } = await store.posterior(x, sigmas, { signal });
  const all = Object.assign(roomForFacts(choices.length), facts);
  writeChoices(choices, all, () => store.count, (q) => {
    if (!rounding || !store.rounding) return Infinity;
    return rounding.ofAll(store.rounding, rowOf(values, q, store), sigmas[q], facts, q);
  });
  return { mean, facts: all };
}

function roomForFacts(queries: number): Required<PosteriorFacts> {
  return {
    ...emptyFacts(queries),
    subsetSize: new Float64Array(queries),
    subsetGap: new Float64Array(queries),
    capturedMass: new Float64Array(queries),
    errorBound: new Float64Array(queries),
    certified: new Float64Array(queries),
  };
}

function writeChoices(
  choices: readonly Choice[],
  facts: Required<PosteriorFacts>,
  size: (q: number) => number,
  roundingOf: (q: number) => number,
): void {
  choices.forEach(({ gap, captured, bound }, q) => {
    facts.subsetSize[q] = size(q);
    facts.subsetGap[q] = gap;
    facts.capturedMass[q] = captured;
    facts.errorBound[q] = bound === Infinity ? Infinity : bound + roundingOf(q);
  });
}

function rowOf(values: StateNumbers, q: number, { dimension }: { dimension: number }) {
  return values.subarray(q * dimension, (q + 1) * dimension);
}

/** Some rows of a batch. */
function someOf({ values, sigmas, samples }: QueryBatch, rows: readonly number[]): QueryBatch {
  const d = values.length / sigmas.length;
  const some = roomLike(values, rows.length * d);
  rows.forEach((q, i) => some.set(values.subarray(q * d, (q + 1) * d), i * d));
  return {
    x: some,
    values: some,
    sigmas: Float64Array.from(rows, (q) => sigmas[q]),
    samples: rows.map((q) => samples[q]),
  };
}
