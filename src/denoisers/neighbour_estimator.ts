/**
 * Posterior means estimated from the nearest items and a few random others.
 *
 * @module
 */
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";
import { mapInTurns } from "../base/_turns.ts";
import { batchOf } from "../compute/batch.ts";
import type { State } from "../compute/batch.ts";
import type { DataStore } from "../compute/device.ts";
import type { DeviceChoice } from "../compute/use_device.ts";
import { checkEvaluateOptions, samplePerRow, sigmaPerRow } from "../compute/posterior.ts";
import type { Neighbours } from "../compute/neighbours.ts";
import type { Subset } from "../compute/subset.ts";
import { RandomStream } from "../base/random.ts";
import { drawKey, drawOtherRows } from "./golden/select.ts";
import { baseOf } from "./base_denoiser.ts";
import type { StatesOf } from "./base_denoiser.ts";
import { capabilitiesOf, keepCapabilities, subsetOf } from "./_capabilities.ts";
import { DATA_OPTIONS } from "./data_source.ts";
import type { DataOptions, DataSource } from "./data_source.ts";
import type { Denoiser } from "./denoiser.ts";
import { inWholeSet } from "./_whole_items.ts";
import type { StoredDenoiser } from "./optimal.ts";

const ACTION = "estimate the posterior mean";

/** Options of {@linkcode neighbourEstimator}. */
export interface NeighbourEstimatorOptions<D extends DeviceChoice = DeviceChoice>
  extends DataOptions<D> {
  /** Nearest items of each query, `K`, summed exactly. Default 100. */
  readonly neighbours?: number;
  /** Random other items of each query, `L`, that stand for the rest. Default `K`. */
  readonly others?: number;
  /**
   * Leave the random items out where the nearest ones hold more than this share of the estimated mass:
   * few random items add more noise than they are worth. Default 0.3; 1 never does.
   */
  readonly switchAt?: number;
  /** The seed of the random items. Default 0. */
  readonly seed?: number;
}

const REFERENCES = [
  "M. Karppa, M. Aumüller, R. Pagh (2021), DEANN: speeding up kernel-density estimation using approximate nearest neighbor search, arXiv:2107.02736",
  "C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), Closed-form diffusion models, arXiv:2310.12395",
];

const OPTIONS = {
  ...DATA_OPTIONS,
  neighbours: undefined,
  others: undefined,
  switchAt: .3,
  seed: 0,
} satisfies OptionTable<NeighbourEstimatorOptions>;

/**
 * An estimate of the optimal denoiser from `K` nearest items and `L` random ones of the rest, which
 * count `(N−K)/L` times each.
 *
 * ```text
 * D ≈ (Σ_K pᵢxᵢ + ((N−K)/L) Σ_L pᵢxᵢ) / (Σ_K pᵢ + ((N−K)/L) Σ_L pᵢ),   pᵢ = exp(−‖x − xᵢ‖²/2σ²)
 * ```
 *
 * Numerator and denominator are unbiased, their ratio to `O(1/L)`. Random items matter at high noise,
 * neighbours at low noise. Inside {@linkcode smoothed} each perturbed query gets its own neighbours.
 * Random items are drawn anew for each query and noise level, by the sample's index alone.
 *
 * Equal to the denoiser inside if `K = N`, or if `K + L = N` without the switch.
 *
 * References: M. Karppa, M. Aumüller, R. Pagh (2021), arXiv:2107.02736; C. Scarvelis, H. Sáez de Ocáriz
 * Borde, J. Solomon (2023), arXiv:2310.12395.
 *
 * @param source A data set, or its optimal denoiser, which is not disposed with this.
 * @param options How many items of each kind, and when to leave the random ones out; class and device of a data set.
 * @returns The estimate, on the same states; its facts are those over the items that were used.
 * @throws {RangeError} If a number of items is out of range.
 * @throws {TypeError} If the base is not the posterior mean of a data set, or its method was replaced.
 *
 * @example All items are near enough: the estimate is exact
 * ```ts
 * import { moons, neighbourEstimator, optimal } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * using base = await optimal(moons(100), { device: "wasm" });
 * const x = tensorSpace.from([0.1, 0.2], [1, 2]);
 * const exact = (await base.denoise(x, 0.5)).mean;
 * const estimate = (await (await neighbourEstimator(base, { neighbours: 100, others: 0 })).denoise(x, 0.5)).mean;
 * const [a, b] = [await tensorSpace.values(exact), await tensorSpace.values(estimate)];
 * assert.ok(a.every((v, c) => Math.abs(v - b[c]) < 1e-6));
 * tensorSpace.dispose(x, exact, estimate);
 * ```
 */
export async function neighbourEstimator<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: NeighbourEstimatorOptions<D> = {},
): Promise<StoredDenoiser<StatesOf<S, D>>> {
  const settings = readOptions(ACTION, options, OPTIONS);
  using resources = new DisposableStack();
  const base = await baseOf(ACTION, source, settings, resources);
  return estimator(base, settings, resources) as StoredDenoiser<State> as StoredDenoiser<
    StatesOf<S, D>
  >;
}

function estimator(
  base: Denoiser<State>,
  settings: Read<NeighbourEstimatorOptions, typeof OPTIONS>,
  resources: DisposableStack,
): StoredDenoiser<State> {
  const { count } = storeOf(base);
  const { switchAt, seed } = settings;
  const { neighbours: K = Math.min(100, count) } = settings;
  const { others: L = Math.min(K, count - K) } = settings;
  checkOptions(K, L, switchAt, count);
  const denoise: StoredDenoiser<State>["denoise"] = async (x, sigma, evaluate = {}) => {
    checkEvaluateOptions(ACTION, evaluate);
    const store = storeOf(base);
    const { rows } = batchOf(x, store.dimension, ACTION);
    const sigmas = sigmaPerRow(sigma, rows, ACTION);
    const samples = samplePerRow(evaluate, rows, ACTION);
    const near = await store.nearest(x, K, evaluate);
    const heads = Array.from(
      { length: rows },
      (_, q) => near.indices.slice(q * K, (q + 1) * K).sort(),
    );
    const tails = L === 0 ? [] : await mapInTurns(heads, (head, q) => {
      const stream = new RandomStream({
        seed,
        sample: samples[q],
        purpose: "retrieval",
        step: drawKey(sigmas, q, samples),
      });
      return drawOtherRows(stream, L, count, head);
    }, evaluate.signal);
    const squares = L === 0 ? [] : (await store.distancesTo(x, tails, evaluate)).squares;
    const subsets = await mapInTurns(heads, (head, q): Subset => {
      if (L === 0) return { rows: head };
      const share = headShare(near, q, squares[q], (count - K) / L, sigmas[q]);
      return share > switchAt ? { rows: head } : withTail(head, tails[q], (count - K) / L);
    }, evaluate.signal);
    const { mean, facts } = await store.posteriorOn(x, sigma, subsets, evaluate);
    return { mean, ...inWholeSet(facts, subsetOf(base, ACTION).items) };
  };
  const held = resources.move();
  const { data } = capabilitiesOf(base);
  const denoiser: StoredDenoiser<State> = {
    label: `${base.label}, from ${K} nearest and ${L} random items`,
    references: [...base.references, ...REFERENCES],
    shape: base.shape,
    space: base.space,
    ...(base.mean && { mean: base.mean }),
    ...(base.draw && { draw: base.draw }),
    ...(base.rms && { rms: base.rms }),
    ...((base.drawsPerLevel || L > 0) && { drawsPerLevel: true }),
    denoise,
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
  keepCapabilities(denoiser, { ...(data && { data }) });
  return denoiser;
}

/** The data of a base that is their posterior mean. */
function storeOf(base: Denoiser<State>): DataStore {
  const { store } = subsetOf(base, ACTION);
  if (store) return store;
  throw new TypeError(
    `Cannot ${ACTION}: the weights of the ${base.label} differ from pixel to pixel, wanted the denoiser of optimal()`,
  );
}

function withTail(head: Uint32Array, tail: Uint32Array, inflation: number): Subset {
  const rows = new Uint32Array(head.length + tail.length);
  rows.set(head);
  rows.set(tail, head.length);
  const logWeights = new Float64Array(rows.length);
  logWeights.fill(Math.log(inflation), head.length);
  return { rows, logWeights };
}

/** The share of the estimated mass that the nearest items hold. */
function headShare(
  { k, distances }: Neighbours,
  query: number,
  tailSquares: Float64Array,
  inflation: number,
  sigma: number,
): number {
  const nearest = distances[query * k] ** 2;
  const weight = (square: number) => Math.exp((nearest - square) / (2 * sigma * sigma));
  let head = 0, tail = 0;
  for (let i = query * k; i < (query + 1) * k; i++) head += weight(distances[i] ** 2);
  for (const square of tailSquares) tail += inflation * weight(square);
  return head / (head + tail);
}

function checkOptions(K: number, L: number, switchAt: number, count: number): void {
  if (!Number.isInteger(K) || K < 1 || K > count) {
    throw new RangeError(
      `Cannot ${ACTION}: neighbours is ${K}, wanted a whole number from 1 to ${count}`,
    );
  }
  if (!Number.isInteger(L) || L < 0 || L > count - K) {
    throw new RangeError(
      `Cannot ${ACTION}: others is ${L}, wanted a whole number from 0 to ${count - K}`,
    );
  }
  if (!(switchAt >= 0 && switchAt <= 1)) {
    throw new RangeError(
      `Cannot ${ACTION}: switchAt is ${switchAt}, wanted a share from 0 to 1`,
    );
  }
}
