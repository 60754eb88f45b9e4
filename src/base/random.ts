/**
 * Random numbers as data: a counter-based generator keyed by (seed, sample,
 * purpose, step), so that a number depends on nothing but its key, whatever the
 * batch, the order or the device.
 *
 * @module
 */

/** What random numbers are drawn for; each purpose has its own streams. */
export type Purpose =
  | "start"
  | "data"
  | "retrieval"
  | "smoothing"
  | "theory"
  | "metric"
  | "training"
  | "weights"
  | "estimate";

const PURPOSES: Record<Purpose, number> = {
  start: 0,
  data: 1,
  retrieval: 2,
  smoothing: 3,
  theory: 4,
  metric: 5,
  training: 6,
  weights: 7,
  estimate: 8,
};

/** The key of a stream of random numbers. */
export interface StreamKey {
  /** The seed, a whole number from 0 to 2⁵³−1. */
  readonly seed: number;
  /** The sample's index within the whole run. Default 0. */
  readonly sample?: number;
  /** What the numbers are for. Default `"start"`. */
  readonly purpose?: Purpose;
  /** The step within the trajectory. Default 0. */
  readonly step?: number;
}

/**
 * The block function Philox4x32-10: 128 random bits from a 128-bit counter and a 64-bit key.
 *
 * Reference: J. Salmon, M. Moraes, R. Dror, D. Shaw (2011), Parallel random
 * numbers: as easy as 1, 2, 3, doi:10.1145/2063384.2063405; numbers pinned
 * against the known answers of its library, Random123.
 *
 * @param counter Four 32-bit words.
 * @param key Two 32-bit words.
 * @returns Four 32-bit words, `[4]`.
 *
 * @example The first known answer of Random123
 * ```ts
 * import { philox4x32 } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const words = philox4x32([0, 0, 0, 0], [0, 0]);
 * assert.deepEqual([...words], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
 * ```
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): Uint32Array {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xD2511F53, c0), low0 = Math.imul(0xD2511F53, c0);
    const high1 = mulHigh(0xCD9E8D57, c2), low1 = Math.imul(0xCD9E8D57, c2);
    [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    k0 = (k0 + 0x9E3779B9) | 0;
    k1 = (k1 + 0xBB67AE85) | 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}

/** The upper 32 bits of an unsigned 32 × 32-bit product, from 16-bit halves: no sum on the way exceeds 32 bits. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xFFFF, aHigh = a >>> 16, bLow = b & 0xFFFF, bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const cross = (Math.imul(aLow, bHigh) + (middle & 0xFFFF)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16)) | 0;
}

/**
 * A stream of random numbers under one key.
 *
 * @example The same key gives the same numbers; another sample has others
 * ```ts
 * import { RandomStream } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const draw = (sample: number) => new RandomStream({ seed: 7, sample }).uniform();
 * assert.equal(draw(3), draw(3));
 * assert.notEqual(draw(3), draw(4));
 * ```
 */
export class RandomStream {
  readonly #key: [number, number];
  readonly #counter: [number, number, number, number];
  #words: Uint32Array = new Uint32Array(0);
  #next = 0;
  #spare: number | undefined;

  /**
   * Opens the stream of a key at its beginning.
   *
   * @param key Which stream.
   * @throws {RangeError} If the seed, sample or step is not a whole number in range.
   */
  constructor(key: StreamKey) {
    const { seed, sample = 0, purpose = "start", step = 0 } = key;
    checkWhole("seed", seed, Number.MAX_SAFE_INTEGER);
    checkWhole("sample", sample, 0xFFFFFFFF);
    checkWhole("step", step, 0xFFFFFFFF);
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
    this.#counter = [0, sample, PURPOSES[purpose], step];
  }

  /**
   * The next 32 random bits.
   *
   * @returns A whole number from 0 to 2³²−1.
   */
  uint32(): number {
    if (this.#next === this.#words.length) {
      this.#words = philox4x32(this.#counter, this.#key);
      this.#counter[0]++;
      this.#next = 0;
    }
    return this.#words[this.#next++];
  }

  /**
   * The next number, uniform in [0, 1).
   *
   * @returns A number of 53 random bits.
   */
  uniform(): number {
    const high = this.uint32() >>> 5;
    return (high * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /**
   * The next whole number, uniform below `bound`, without bias.
   *
   * @param bound One more than the largest number, from 1 to 2³².
   * @returns A whole number from 0 to `bound − 1`.
   * @throws {RangeError} If `bound` is not a whole number in range.
   */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new RangeError(
        `Cannot draw a number: bound is ${bound}, wanted a whole number from 1 to 2^32`,
      );
    }
    // Words from the last, incomplete block of `bound` would favour small numbers.
    const limit = 2 ** 32 - 2 ** 32 % bound;
    for (;;) {
      const word = this.uint32();
      if (word < limit) return word % bound;
    }
  }

  /**
   * The next number from N(0, 1), by the Box–Muller transform in float64.
   *
   * @returns A number of mean 0 and variance 1.
   */
  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    // 1 − u is in (0, 1], so the logarithm is finite.
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/**
 * A step to key a stream by, from a noise level: the bits of its float32.
 *
 * Denoisers see noise levels and not steps; draws that are new at each step are keyed by this.
 *
 * @param sigma The noise level.
 * @returns A whole number from 0 to 2³²−1, another one for each float32.
 *
 * @example
 * ```ts
 * import { levelKey } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * assert.equal(levelKey(1), 0x3f800000);
 * ```
 */
export function levelKey(sigma: number): number {
  return new Uint32Array(Float32Array.of(sigma).buffer)[0];
}

/**
 * Standard normal start noise `ε`, one stream per sample.
 *
 * @param seed The seed of the run.
 * @param first Index of the first sample within the run.
 * @param count Number of samples.
 * @param dimension Numbers per sample, `d`.
 * @returns `count` rows of `d` numbers from N(0, 1); row `i` depends on `seed` and `first + i` only.
 * @throws {RangeError} If the seed or an index is not a whole number in range.
 *
 * @example A sample's noise is the same alone and in a batch
 * ```ts
 * import { startNoise } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const batch = startNoise(0, 0, 64, 3);
 * assert.deepEqual(batch.subarray(15, 18), startNoise(0, 5, 1, 3));
 * ```
 */
export function startNoise(
  seed: number,
  first: number,
  count: number,
  dimension: number,
): Float64Array {
  checkWhole("count", count, 2 ** 32);
  checkWhole("dimension", dimension, 2 ** 32);
  if (count * dimension > 2 ** 32) {
    throw new RangeError(
      `Cannot draw noise: received ${count} rows of ${dimension}, wanted at most 2^32 numbers`,
    );
  }
  const noise = new Float64Array(count * dimension);
  for (let i = 0, at = 0; i < count; i++) {
    const stream = new RandomStream({ seed, sample: first + i });
    for (let c = 0; c < dimension; c++) noise[at++] = stream.normal();
  }
  return noise;
}

function checkWhole(name: string, value: number, most: number): void {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(
      `Cannot key a random stream: ${name} is ${value}, wanted a whole number from 0 to ${most}`,
    );
  }
}
