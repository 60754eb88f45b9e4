/**
 * The search for the smallest subset that provably bounds the error of a posterior mean.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { mapInTurns } from "../../base/_turns.ts";
import type { DataStore } from "../../compute/device.ts";
import { float64Logits } from "../../compute/rounding.ts";
import { roomLike } from "../../compute/batch.ts";
import type { StateNumbers } from "../../compute/batch.ts";
import { discardedMass, logAdd, smallestCertified } from "./certificate.ts";
import type { MeasuredLogits } from "./certificate.ts";
import { transportMass } from "./transported_mass.ts";

/** One query of a search. */
export interface SearchQuery {
  /** The query, `d` numbers in data units. */
  readonly values: StateNumbers;
  /** Its noise level. */
  readonly sigma: number;
  /** The sample that it belongs to, whose earlier queries may save a search. */
  readonly sample: number;
  /** The share of the posterior mass that may be left out, in (0, 1). */
  readonly most: number;
}

/** A subset that was found for a query. */
export interface CertifiedSubset {
  /** Its rows, by falling logit. */
  readonly rows: Uint32Array;
  /** Their logits, nats. */
  readonly logits: Float64Array;
  /** By how much each of them may be off, nats. */
  readonly slack: Float64Array;
  /** A bound of the share of the posterior mass that is left out. */
  readonly discarded: number;
  /** How far, at least, the largest logit left out is below the largest of all, nats. */
  readonly gap: number;
  /** Whether it came from an earlier search alone, without looking at all items. */
  readonly transported: boolean;
}

/** What a scan of all items has left for the next queries of a sample. */
interface Known {
  readonly values: StateNumbers;
  readonly sigma: number;
  /** The nearest rows, by falling logit. */
  readonly rows: Uint32Array;
  /** Their logits, and that of the next row, if there is one. */
  readonly logits: Float64Array;
  /** `log` of the mass of all items but the first `p`, at most, for each `p` up to their number. */
  readonly beyond: Float64Array;
}

/** What earlier queries of samples have told. */
interface Learned {
  /** The last search through all items. */
  readonly known: Map<number, Known>;
  /** How many items shared the mass at the last noise level. */
  readonly effective: Map<number, { readonly sigma: number; readonly size: number }>;
}

/** What a search is part of. */
export interface SearchOptions {
  /** The run whose earlier queries may save a search. Default: that of all calls that name none. */
  readonly run?: object;
  /** Cancels the search. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode CertifiedSearch}. */
export interface CertifiedSearchOptions {
  /** Items that a search finds and keeps for later queries, `K`. Default 1024. */
  readonly retained?: number;
  /** The mean squared distance of the items to their mean: tells when a first search is worthwhile. Default 0. */
  readonly spread?: number;
  /** How far float64 moves a logit of direct differences, nats. Default {@linkcode float64Logits}. */
  readonly slack?: (logit: number, sigma: number) => number;
}

// Rows that are measured first for a transported certificate, and how their number grows.
const FIRST_ROWS = 16, GROWTH = 4;
// A search is tried where so many times the effective sample size is within what it finds. On photographs, certificates
// of 1e-3 and less take up to about this factor.
const MARGIN = 64;
// Samples whose last search is kept; a batch has fewer.
const MOST_KNOWN = 4096;

const OPTIONS = { retained: 1024, spread: 0, slack: undefined } satisfies OptionTable<
  CertifiedSearchOptions
>;
const SEARCH_OPTIONS = { run: undefined, signal: undefined } satisfies OptionTable<SearchOptions>;

/**
 * Finds, query by query, the smallest subset whose certificate holds, the cheapest way first:
 *
 * 1. from an earlier search of the same sample: {@linkcode transportMass} bounds the mass of all items
 *    that search did not return, and of those it did the first are measured, more and more of them,
 *    until they are enough; no look at all items is needed;
 * 2. by an exact search for the `K` nearest items, whose farthest one bounds all others;
 * 3. not at all: the caller must take all items.
 *
 * What is found depends on the queries of its own sample only, which must come at falling noise levels to save
 * anything; at a higher level than before a sample starts anew. A subset is certified whatever came before.
 *
 * Derived here.
 *
 * @example The nearest of two items is enough far below their distance
 * ```ts
 * import { openDevice } from "@closedform/diffusion";
 * import { CertifiedSearch } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * const store = await device.store({ data: Float32Array.of(-1, 1), dimension: 1 });
 * const query = { values: Float32Array.of(0.5), sigma: 0.3, sample: 0, most: 1e-3 };
 * const [found] = await new CertifiedSearch(store).find([query]);
 * assert.deepEqual([...found!.rows], [1]);
 * assert.ok(found!.discarded < 1e-3);
 * ```
 */
export class CertifiedSearch {
  readonly #store: DataStore;
  readonly #retained: number;
  readonly #spread: number;
  readonly #slack: (logit: number, sigma: number) => number;
  /** What runs have learned; calls that belong to none share theirs. */
  readonly #learned = new WeakMap<object, Learned>();

  /**
   * Makes ready to search some data.
   *
   * @param store The data.
   * @param options How many items a search finds.
   * @throws {RangeError} If that is not a whole number ≥ 1.
   */
  constructor(store: DataStore, options: CertifiedSearchOptions = {}) {
    const { retained, spread, slack = (l: number) => float64Logits(store.dimension, l) } =
      readOptions(
        "search for subsets",
        options,
        OPTIONS,
      );
    if (!Number.isInteger(retained) || retained < 1) {
      throw new RangeError(
        `Cannot search for subsets: retained is ${retained}, wanted a whole number >= 1`,
      );
    }
    this.#store = store;
    this.#retained = Math.min(retained, store.count);
    this.#spread = spread;
    this.#slack = slack;
  }

  /**
   * Finds the subsets of a batch.
   *
   * @param queries The queries.
   * @param options The run that they are part of; a signal that cancels.
   * @returns One subset per query, or undefined where all items are needed.
   */
  async find(
    queries: readonly SearchQuery[],
    options: SearchOptions = {},
  ): Promise<(CertifiedSubset | undefined)[]> {
    const { run, signal } = readOptions("search for subsets", options, SEARCH_OPTIONS);
    const found: (CertifiedSubset | undefined)[] = new Array(queries.length).fill(undefined);
    // Read once: calls at the same time may learn more before this one is done.
    const { known, effective } = this.#of(run);
    const earlier = queries.map((query) => before(known, query));
    const last = queries.map((query) => before(effective, query));
    await this.#transport(queries, earlier, found, signal);
    const open = queries.map((_, i) => i).filter((i) =>
      !found[i] && this.#isHopeful(queries[i], last[i])
    );
    if (open.length > 0) await this.#scan(queries, open, found, known, signal);
    return found;
  }

  /**
   * Tells how many items share the mass of a query: decides whether the sample's next one is searched for.
   *
   * @param query The query.
   * @param size Its effective sample size.
   * @param run The run that it is part of.
   */
  tell({ sample, sigma }: SearchQuery, size: number, run?: object): void {
    const { known, effective } = this.#of(run);
    effective.delete(sample);
    effective.set(sample, { sigma, size });
    for (const kept of [known, effective]) {
      for (const old of kept.keys()) {
        if (kept.size <= MOST_KNOWN) break;
        kept.delete(old);
      }
    }
  }

  #of(run: object = this): Learned {
    const learned = this.#learned.get(run) ?? { known: new Map(), effective: new Map() };
    this.#learned.set(run, learned);
    return learned;
  }

  #isHopeful(
    { sigma }: SearchQuery,
    last: { readonly sigma: number; readonly size: number } | undefined,
  ): boolean {
    if (this.#retained === this.#store.count) return true;
    // Points that lie on curves share their mass among as many as σ is long; on all else the number falls faster.
    if (last) return MARGIN * last.size * (sigma / last.sigma) <= this.#retained;
    // Without any knowledge: logits differ by about spread/σ², and log N tells one of N items apart.
    return this.#spread / (sigma * sigma) > Math.log(this.#store.count);
  }

  /** Certificates from earlier searches. */
  async #transport(
    queries: readonly SearchQuery[],
    earlier: readonly (Known | undefined)[],
    found: (CertifiedSubset | undefined)[],
    signal?: AbortSignal,
  ): Promise<void> {
    let open = queries.map((_, i) => i).filter((i) => earlier[i]);
    const measured = new Map(
      open.map((i) => [i, { squares: [] as number[], errors: [] as number[] }]),
    );
    for (let size = FIRST_ROWS; open.length > 0; size *= GROWTH) {
      const parts = open.map((i) =>
        earlier[i]!.rows.subarray(measured.get(i)!.squares.length, size)
      );
      const { squares, errors } = await this.#measure(open.map((i) => queries[i]), parts, signal);
      open = open.filter((i, at) => {
        const known = earlier[i]!;
        const all = measured.get(i)!;
        for (let k = 0; k < parts[at].length; k++) {
          all.squares.push(squares[at][k]);
          all.errors.push(errors[at][k]);
        }
        found[i] = transported(queries[i], known, all, this.#store.count, this.#slack);
        return !found[i] && all.squares.length < known.rows.length;
      });
    }
  }

  async #measure(
    queries: readonly SearchQuery[],
    lists: readonly Uint32Array[],
    signal?: AbortSignal,
  ) {
    return await this.#store.distancesTo(numbersOfAll(queries), lists, { signal });
  }

  /** Certificates from a search through all items, which is kept for later queries. */
  async #scan(
    queries: readonly SearchQuery[],
    open: readonly number[],
    found: (CertifiedSubset | undefined)[],
    learned: Map<number, Known>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { count } = this.#store;
    // One more than is kept bounds all that is farther.
    const k = Math.min(count, this.#retained + 1);
    const x = numbersOfAll(open.map((i) => queries[i]));
    const near = await this.#store.nearest(x, k, { signal });
    await mapInTurns(open, (i, at) => {
      const query = queries[i];
      const from = at * k, kept = Math.min(k, this.#retained);
      const rate = -0.5 / (query.sigma * query.sigma);
      const all = near.distances.slice(from, from + k).map((d) => d * d * rate);
      const logits = all.subarray(0, kept);
      const slack = (logit: number) => this.#slack(logit, query.sigma);
      const logUnseen = kept === count
        ? -Infinity
        : Math.log(count - kept) + all[kept] + slack(all[kept]);
      const rows = near.indices.slice(from, from + kept);
      const beyond = new Float64Array(kept + 1);
      beyond[kept] = logUnseen;
      for (let p = kept - 1; p >= 0; p--) {
        beyond[p] = logAdd(beyond[p + 1], logits[p] + slack(logits[p]));
      }
      const { values, sigma, sample } = query;
      learned.delete(sample);
      learned.set(sample, { values: values.slice(), sigma, rows, logits: all, beyond });
      const errors = logits.map(slack);
      const certified = smallestCertified({ logits, errors, logUnseen }, query.most);
      if (!certified) return;
      found[i] = {
        rows: rows.subarray(0, certified.k),
        logits: logits.subarray(0, certified.k),
        slack: errors.subarray(0, certified.k),
        discarded: certified.discarded,
        gap: certified.k < k ? all[0] - all[certified.k] : Infinity,
        transported: false,
      };
    }, signal);
  }
}

/** What the sample of a query has told before; at a higher noise level it begins another trajectory. */
function before<T extends { readonly sigma: number }>(
  told: ReadonlyMap<number, T>,
  { sample, sigma }: SearchQuery,
): T | undefined {
  const last = told.get(sample);
  return last && sigma <= last.sigma ? last : undefined;
}

/** The certificate of a query from the first rows of an earlier search, if they are enough. */
function transported(
  { values, sigma, most }: SearchQuery,
  known: Known,
  { squares, errors }: { squares: readonly number[]; errors: readonly number[] },
  count: number,
  float64: (logit: number, sigma: number) => number,
): CertifiedSubset | undefined {
  const p = squares.length;
  const unseen = { count: count - p, logMass: known.beyond[p], largest: known.logits[p] };
  const move = { sigma: known.sigma, nextSigma: sigma, distance: distance(values, known.values) };
  const { logMass, largest } = transportMass(unseen, move);
  const rate = 0.5 / (sigma * sigma);
  const order = new Uint32Array(squares.length).map((_, i) => i).sort((a, b) =>
    squares[a] - squares[b] || a - b
  );
  const logits = new Float64Array(order.length).map((_, at) => -squares[order[at]] * rate);
  const slack = logits.map((l, i) => errors[order[i]] * rate + float64(l, sigma));
  // The transport moves sums of terms as large as these.
  const logUnseen = logMass === -Infinity
    ? logMass
    : logMass + float64(Math.abs(logMass) + move.distance ** 2 * rate, sigma);
  const measured: MeasuredLogits = { logits, errors: slack, logUnseen };
  if (discardedMass(measured) > most) return undefined;
  const certified = smallestCertified(measured, most);
  if (!certified) return undefined;
  const { k, discarded } = certified;
  return {
    rows: order.subarray(0, k).map((i) => known.rows[i]),
    logits: logits.subarray(0, k),
    slack: slack.subarray(0, k),
    discarded,
    gap: logits[0] - slack[0] - Math.max(largest, k < p ? logits[k] + slack[k] : -Infinity),
    transported: true,
  };
}

function distance(a: StateNumbers, b: StateNumbers): number {
  let square = 0;
  for (let c = 0; c < a.length; c++) square += (a[c] - b[c]) ** 2;
  return Math.sqrt(square);
}

function numbersOfAll(queries: readonly SearchQuery[]): StateNumbers {
  const [{ values: first }] = queries;
  const values = roomLike(first, queries.length * first.length);
  queries.forEach((query, i) => values.set(query.values, i * first.length));
  return values;
}
