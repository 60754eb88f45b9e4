/**
 * Golden subsets of scheduled sizes: coarse candidates by a proxy, the best of them by exact distances,
 * and maybe a sample of all others.
 *
 * @module
 */
import { mapInTurns } from "../../base/_turns.ts";
import type { DataStore } from "../../compute/device.ts";
import { RandomStream } from "../../base/random.ts";
import { discardedMass, logAdd } from "./certificate.ts";
import type { QueryBatch } from "./query_batch.ts";
import type { RetrievalProxy } from "./proxy.ts";
import type { ScheduleSizes, SubsetSchedule } from "./schedule.ts";
import { drawKey, drawOtherRows, drawRows, smallest } from "./select.ts";

/** The items of one query. */
export interface Selection {
  /** The rows. */
  readonly rows: Uint32Array;
  /** Added to their logits, if they stand for others. */
  readonly logWeights?: Float64Array;
  /** Their logits, weights included. */
  readonly logits: Float64Array;
  /** By how much each of them may be off, nats. */
  readonly slack: Float64Array;
  /** A bound on the share of the posterior mass left out; NaN if there is none. */
  readonly discarded: number;
  /** That share as a sample of the others tells it, if there is one. */
  readonly estimate?: number;
  /** How far, at least, the largest logit left out is below the largest of all; NaN if nothing is known. */
  readonly gap: number;
}

/** Options of {@linkcode ScheduledSearch}. */
export interface ScheduledSearchOptions {
  /** Whether half of each subset is a sample of the items outside of the other half. Default false. */
  readonly tail?: boolean;
  /** Seed of all draws. Default 0. */
  readonly seed?: number;
}

// Below this share of the mass a sampled tail adds more noise than it corrects.
const NEGLIGIBLE_TAIL = 1e-4;

/** Finds subsets of the sizes that a schedule gives. */
export class ScheduledSearch {
  readonly #store: DataStore;
  readonly #proxy: RetrievalProxy;
  readonly #schedule: SubsetSchedule;
  readonly #tail: boolean;
  readonly #seed: number;

  /**
   * @param store The data.
   * @param proxy How candidates are found.
   * @param schedule How many of them, and how many are taken.
   * @param options Whether to sample a tail; the seed.
   */
  constructor(
    store: DataStore,
    proxy: RetrievalProxy,
    schedule: SubsetSchedule,
    options: ScheduledSearchOptions = {},
  ) {
    this.#store = store;
    this.#proxy = proxy;
    this.#schedule = schedule;
    this.#tail = options.tail ?? false;
    this.#seed = options.seed ?? 0;
  }

  /** Whether it draws random items: a tail, or a pool. */
  get draws(): boolean {
    return this.#tail || this.#schedule.name !== "described";
  }

  /**
   * Finds the subsets of a batch.
   *
   * @param batch The queries.
   * @param signal Cancels the search.
   * @returns One selection per query. It depends on the query, its noise level and its sample alone.
   */
  async find(
    batch: Pick<QueryBatch, "x" | "sigmas" | "samples">,
    signal?: AbortSignal,
  ): Promise<Selection[]> {
    const streams = Array.from(batch.sigmas, (_, q) => {
      const step = drawKey(batch.sigmas, q, batch.samples);
      return new RandomStream({
        seed: this.#seed,
        sample: batch.samples[q],
        purpose: "retrieval",
        step,
      });
    });
    const sizes = Array.from(batch.sigmas, (sigma) => this.#schedule.sizes(sigma));
    const coarse = await this.#candidates(batch, sizes, streams, signal);
    const lists = coarse.map(({ rows }) => rows);
    const { squares, errors } = await this.#store.distancesTo(batch.x, lists, { signal });
    const found = coarse.map((candidates, q) => ({
      ...candidates,
      squares: squares[q],
      errors: errors[q],
      rate: 0.5 / (batch.sigmas[q] * batch.sigmas[q]),
      k: sizes[q].k,
    }));
    if (!this.#tail) return await mapInTurns(found, (f) => bounded(f, best(f, f.k)), signal);
    return await this.#withTails(batch, found, streams, signal);
  }

  /** Coarse candidates of each query, and bounds of all items that are none. */
  async #candidates(
    { x, sigmas }: Pick<QueryBatch, "x" | "sigmas">,
    sizes: readonly ScheduleSizes[],
    streams: readonly RandomStream[],
    signal?: AbortSignal,
  ): Promise<Coarse[]> {
    const { count } = this.#store;
    const pools = sizes.map(({ pool }, q) =>
      pool === undefined ? undefined : drawRows(streams[q], pool, count)
    );
    const pooled = pools.every((pool) => pool !== undefined);
    if (pooled && sizes.every(({ m, pool }) => m === pool)) {
      return pools.map((rows) => ({ rows, rest: nothingKnown }));
    }
    const { squares, bounds } = await this.#proxy.measure(x, pooled ? pools : undefined, {
      signal,
    });
    return await mapInTurns(squares, (list, q) => {
      const places = smallest(list, Math.min(sizes[q].m, list.length));
      if (pooled) {
        const rows = places.map((place) => pools[q][place]);
        return { rows, rest: nothingKnown };
      }
      const rate = 0.5 / (sigmas[q] * sigmas[q]);
      return { rows: places, rest: () => restOf(bounds(q), places, rate) };
    }, signal);
  }

  /** Replaces half of each subset by a sample of what the other half leaves out, unless that is next to nothing. */
  async #withTails(
    { x }: Pick<QueryBatch, "x">,
    found: readonly Found[],
    streams: readonly RandomStream[],
    signal?: AbortSignal,
  ): Promise<Selection[]> {
    const { count } = this.#store;
    const heads = await mapInTurns(found, (f) => best(f, Math.ceil(f.k / 2)), signal);
    const tails = await mapInTurns(found, ({ k }, q) => {
      const { rows } = heads[q];
      const n = Math.min(k - Math.ceil(k / 2), count - rows.length);
      return drawOtherRows(streams[q], n, count, rows);
    }, signal);
    const { squares, errors } = await this.#store.distancesTo(x, tails, { signal });
    return await mapInTurns(found, (f, q) => {
      const tail = {
        rows: tails[q],
        logits: squares[q].map((d) => -d * f.rate),
        slack: errors[q].map((e, i) => slackOf(e, squares[q][i], f.rate)),
      };
      const drawn = withTail(heads[q], tail, count);
      if (drawn.estimate >= NEGLIGIBLE_TAIL) return drawn;
      return { ...bounded(f, best(f, f.k)), estimate: drawn.estimate };
    }, signal);
  }
}

/** Candidates of one query and what is known of all others. */
interface Coarse {
  readonly rows: Uint32Array;
  /** Bounds of what is not among them, which are costly to find. */
  rest(): Rest;
}

/** Bounds of items that are no candidates. */
interface Rest {
  /** `log` of their mass, nats, or more; NaN if nothing is known. */
  readonly logMass: number;
  /** Their largest logit, or more. */
  readonly largest: number;
}

const nothingKnown = (): Rest => ({ logMass: NaN, largest: NaN });

/** Rows of one query. */
interface Rows {
  readonly rows: Uint32Array;
  readonly logits: Float64Array;
  /** By how much each of these may be off, nats. */
  readonly slack: Float64Array;
}

/** The best candidates of one query. */
interface Best extends Rows {
  /** Their places among the candidates. */
  readonly places: Uint32Array;
}

/** Candidates and their exact distances. */
interface Found extends Coarse {
  readonly squares: Float64Array;
  readonly errors: Float64Array;
  /** Nats per squared distance, `1/2σ²`. */
  readonly rate: number;
  readonly k: number;
}

// Logits that are lower than the largest by this much are counted as if they were not: next to nothing, and no less than true.
const LOW = 40;

/** The mass of the items that are no candidates, by lower bounds of their distances. */
function restOf(bounds: Float64Array, candidates: Uint32Array, rate: number): Rest {
  if (candidates.length === bounds.length) return { logMass: -Infinity, largest: -Infinity };
  for (const row of candidates) bounds[row] = Infinity;
  let least = Infinity;
  for (const square of bounds) if (square < least) least = square;
  const near = least + LOW / rate;
  let sum = bounds.length * Math.exp(-LOW);
  for (const square of bounds) if (square < near) sum += Math.exp((least - square) * rate);
  return { logMass: Math.log(sum) - least * rate, largest: -least * rate };
}

/** The `k` best candidates, by rising row. */
function best({ rows, squares, errors, rate }: Found, k: number): Best {
  const places = smallest(squares, Math.min(k, rows.length));
  const each = (of: (place: number) => number) => Float64Array.from(places, of);
  return {
    places,
    rows: places.map((i) => rows[i]),
    logits: each((i) => -squares[i] * rate),
    slack: each((i) => slackOf(errors[i], squares[i], rate)),
  };
}

/** The error of a logit by those of a squared distance: of its measurement, and of float64. */
function slackOf(error: number, square: number, rate: number): number {
  return error * rate + 2 ** -40 * (1 + square * rate);
}

/** The best candidates, and a bound of what they leave out. */
function bounded(found: Found, { places, rows, logits, slack }: Best): Selection {
  const { squares, errors, rate } = found;
  const rest = found.rest();
  // In logarithms throughout: bounds of distances may be lower than the best of them by more than numbers hold.
  let next = rest.largest, logUnseen = rest.logMass;
  for (let i = 0, kept = 0; i < squares.length; i++) {
    if (places[kept] === i) {
      kept++;
      continue;
    }
    const logit = errors[i] * rate - squares[i] * rate;
    next = Math.max(next, logit);
    logUnseen = logAdd(logUnseen, logit);
  }
  return {
    rows,
    logits,
    slack,
    // Not known where nothing bounds the rest.
    discarded: Number.isNaN(logUnseen) ? NaN : discardedMass({ logits, errors: slack, logUnseen }),
    gap: logits.reduce((most, l, i) => Math.max(most, l - slack[i]), -Infinity) - next,
  };
}

/** A head, and rows drawn from all others that stand for them. */
function withTail(head: Rows, tail: Rows, count: number): Selection & { estimate: number } {
  const h = head.rows.length, n = tail.rows.length;
  const weight = n > 0 ? Math.log((count - h) / n) : 0;
  const rows = new Uint32Array(h + n);
  const logits = new Float64Array(h + n), slack = new Float64Array(h + n);
  rows.set(head.rows);
  rows.set(tail.rows, h);
  logits.set(head.logits);
  logits.set(tail.logits.map((logit) => logit + weight), h);
  slack.set(head.slack);
  slack.set(tail.slack, h);
  const top = logits.reduce((a, b) => Math.max(a, b));
  let inside = 0, outside = 0;
  for (let i = 0; i < h; i++) inside += Math.exp(logits[i] - top);
  for (let i = h; i < h + n; i++) outside += Math.exp(logits[i] - top);
  return {
    rows,
    logits,
    slack,
    logWeights: new Float64Array(h + n).fill(weight, h),
    // With everything drawn, nothing is left out.
    discarded: h + n === count ? 0 : NaN,
    estimate: outside / (inside + outside),
    gap: h + n === count ? Infinity : NaN,
  };
}
