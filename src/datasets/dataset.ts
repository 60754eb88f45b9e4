/**
 * The data set type: rows of bytes or floats with a shape, a range and maybe labels.
 *
 * @module
 */
import { checkOptionNames, type OptionTable } from "../base/_options.ts";
import { received } from "../base/_kinds.ts";
import { sizeOf } from "../base/_shape.ts";
import { showsItself } from "../base/_display.ts";
import { largestRms } from "../compute/largest_rms.ts";

/** What a {@linkcode Dataset} is made from. */
export interface DatasetInit {
  /** The rows, `[N, …shape]`, row-major, channels last. Used as they are, not copied; devices other than `float64` round them to float32. */
  readonly data: Uint8Array | Float32Array | Float64Array;
  /** The shape of one item: `[height, width, channels]` for images, `[d]` for points. */
  readonly shape: readonly number[];
  /** A name for people to read. */
  readonly name: string;
  /** The class of each item, an index into `classNames`. */
  readonly labels?: Uint32Array;
  /** A name for each class. Default: the class numbers. */
  readonly classNames?: readonly string[];
  /**
   * For bytes, the values that 0 and 255 stand for; for floats, the values drawn
   * black and white. Default `[-1, 1]`.
   */
  readonly range?: readonly [number, number];
  /** Of a part of a larger set, the place of each item there. Default: this is a whole set. */
  readonly items?: Uint32Array;
}

const PARTS = {
  data: undefined,
  shape: undefined,
  name: undefined,
  labels: undefined,
  classNames: undefined,
  range: undefined,
  items: undefined,
} satisfies OptionTable<DatasetInit>;

/**
 * A finite data set, the whole model of a closed-form diffusion.
 *
 * @example
 * ```ts
 * import { Dataset } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = new Dataset({
 *   data: Uint8Array.of(0, 255, 255, 0),
 *   shape: [1, 2, 1],
 *   labels: Uint32Array.of(0, 1),
 *   classNames: ["right", "left"],
 *   name: "edges",
 * });
 * assert.equal(set.count, 2);
 * const left = set.classSubset("left");
 * assert.deepEqual([...left.values(0)], [1, -1]);
 * assert.deepEqual([...left.items!], [1]);
 * assert.equal(set.summary(), "edges: 2 items of 1×2×1 bytes in 2 classes");
 * ```
 */
export class Dataset {
  /** The rows, `[N, …shape]`, row-major, channels last. */
  readonly data: Uint8Array | Float32Array | Float64Array;
  /** The shape of one item. */
  readonly shape: readonly number[];
  /** Numbers per item, `d`. */
  readonly dimension: number;
  /** Number of items, `N`. */
  readonly count: number;
  /** A name for people to read. */
  readonly name: string;
  /** The class of each item, if there are classes. */
  readonly labels?: Uint32Array;
  /** A name for each class, if there are classes. */
  readonly classNames?: readonly string[];
  /** What bytes 0 and 255 stand for; for floats, what is drawn black and white. */
  readonly range: readonly [number, number];
  /**
   * Of a part of a larger set, the place of each item in the whole one; absent for a whole set and for its first items.
   * Whatever names an item, such as `topIndex` of a denoiser and `nearestItems()`, names its place in the whole set.
   */
  readonly items?: Uint32Array;
  #mean?: Float64Array;

  /**
   * Makes a data set of rows that are in memory.
   *
   * @param init The rows and what they mean.
   * @throws {TypeError} If data, shape, labels and class names do not fit together.
   * @throws {RangeError} If there are no items, or the range does not rise.
   */
  constructor(init: DatasetInit) {
    // Of what was forgotten each part is missing.
    const { data, shape, labels, classNames, range = [-1, 1], name, items } = init ?? {};
    if (init !== undefined) checkOptionNames(`make the data set ${name}`, init, PARTS);
    const action = `Cannot make the data set ${name}`;
    const isData = data instanceof Uint8Array || data instanceof Float32Array ||
      data instanceof Float64Array;
    if (!isData) {
      throw new TypeError(
        `${action}: data is ${received(data)}, wanted a Uint8Array, Float32Array or Float64Array`,
      );
    }
    if (
      !Array.isArray(shape) || shape.length === 0 ||
      !shape.every((n) => Number.isInteger(n) && n > 0)
    ) {
      throw new TypeError(
        `${action}: shape is [${shape}], wanted positive whole numbers`,
      );
    }
    const dimension = sizeOf(shape);
    const count = data.length / dimension;
    if (!Number.isInteger(count)) {
      throw new TypeError(
        `${action}: received ${data.length} numbers, wanted a multiple of ${dimension}`,
      );
    }
    if (count === 0) {
      throw new RangeError(`${action}: received 0 items, wanted at least 1`);
    }
    if (
      !(Number.isFinite(range[0]) && Number.isFinite(range[1]) &&
        range[0] < range[1])
    ) {
      throw new RangeError(
        `${action}: range is [${range}], wanted two rising finite numbers`,
      );
    }
    if (labels && labels.length !== count) {
      throw new TypeError(
        `${action}: received ${labels.length} labels, wanted ${count}`,
      );
    }
    if (items && items.length !== count) {
      throw new TypeError(
        `${action}: received the places of ${items.length} items, wanted ${count}`,
      );
    }
    if (classNames && !labels) {
      throw new TypeError(`${action}: received class names without labels, wanted labels too`);
    }
    const classes = labels ? labels.reduce((most, label) => Math.max(most, label + 1), 0) : 0;
    if (classNames && classNames.length < classes) {
      throw new TypeError(
        `${action}: received ${classNames.length} class names, wanted at least ${classes}`,
      );
    }
    this.data = data;
    this.shape = shape;
    this.dimension = dimension;
    this.count = count;
    this.name = name;
    this.range = range;
    if (items) this.items = items;
    if (labels) {
      this.labels = labels;
      this.classNames = classNames ??
        Array.from({ length: classes }, (_, c) => String(c));
    }
  }

  /**
   * One item in data units.
   *
   * @param index Which item, `0 ≤ index < count`.
   * @returns Its `dimension` numbers, a copy, in float32.
   * @throws {RangeError} If there is no such item.
   */
  values(index: number): Float32Array {
    this.#checkIndex(index, "take the values of an item");
    const row = this.data.subarray(
      index * this.dimension,
      (index + 1) * this.dimension,
    );
    if (!(row instanceof Uint8Array)) return Float32Array.from(row);
    const [lo, hi] = this.range;
    return Float32Array.from(row, (v) => v * ((hi - lo) / 255) + lo);
  }

  /**
   * The mean of the items in data units, computed once in float64.
   *
   * @returns `dimension` numbers.
   */
  mean(): Float64Array {
    if (this.#mean) return this.#mean.slice();
    const { data, dimension, count } = this;
    const sum = new Float64Array(dimension);
    for (let i = 0, at = 0; i < count; i++) {
      for (let c = 0; c < dimension; c++, at++) sum[c] += data[at];
    }
    const [lo, hi] = this.range;
    const [scale, offset] = data instanceof Uint8Array ? [(hi - lo) / 255, lo] : [1, 0];
    this.#mean = sum.map((v) => v / count * scale + offset);
    return this.#mean.slice();
  }

  /**
   * The size of the items: the root mean square per number, about zero, of the largest one.
   *
   * @param enough Where to stop: the first item of at least this size will do. Default: the largest is looked for.
   * @returns The size, in data units.
   */
  rms(enough: number = Infinity): number {
    return largestRms(this, enough);
  }

  /**
   * The items at the given places, in that order, as a new data set, which knows their places in the whole one.
   *
   * @param indices Places, `0 ≤ index < count`; an item may come twice.
   * @param name The new name. Default: the old one.
   * @returns A copy of these items.
   * @throws {RangeError} If there are no indices, or one is out of range.
   */
  subset(indices: ArrayLike<number>, name: string = this.name): Dataset {
    const { data, dimension } = this;
    const Rows = data.constructor as new (length: number) => typeof data;
    const rows = new Rows(indices.length * dimension);
    const labels = this.labels ? new Uint32Array(indices.length) : undefined;
    const items = new Uint32Array(indices.length);
    for (let k = 0; k < indices.length; k++) {
      const i = indices[k];
      this.#checkIndex(i, "take a subset");
      rows.set(
        data.subarray(i * dimension, (i + 1) * dimension),
        k * dimension,
      );
      if (labels) labels[k] = this.labels![i];
      items[k] = this.items ? this.items[i] : i;
    }
    return this.#like(rows, labels, name, items);
  }

  /**
   * The first `n` items; all of them if there are fewer. Shares memory with this set.
   *
   * @param n How many, at least 1.
   * @returns A view of the first items.
   * @throws {RangeError} If `n` is not a whole number ≥ 1.
   */
  take(n: number): Dataset {
    if (!Number.isInteger(n) || n < 1) {
      throw new RangeError(
        `Cannot take items of ${this.name}: n is ${n}, wanted a whole number >= 1`,
      );
    }
    if (n >= this.count) return this;
    return this.#like(
      this.data.subarray(0, n * this.dimension),
      this.labels?.subarray(0, n),
      this.name,
      this.items?.subarray(0, n),
    );
  }

  /**
   * The items of one class.
   *
   * @param which The class, by number or by name.
   * @returns A copy of its items, with their labels.
   * @throws {RangeError} If there are no classes, no such class, or no item in it.
   */
  classSubset(which: number | string): Dataset {
    const label = this.#label(which);
    return this.subset(
      this.classItems(label),
      `${this.name}, class ${this.classNames![label]}`,
    );
  }

  /**
   * Where in this set the items of one class are.
   *
   * @param which The class, by number or by name.
   * @returns Their places, rising.
   * @throws {RangeError} If there are no classes, no such class, or no item in it.
   */
  classItems(which: number | string): Uint32Array {
    const label = this.#label(which);
    const indices: number[] = [];
    this.labels!.forEach((l, i) => l === label && indices.push(i));
    if (indices.length === 0) {
      throw new RangeError(
        `Cannot take class ${which} of ${this.name}: found no item of it, wanted at least 1`,
      );
    }
    return Uint32Array.from(indices);
  }

  #label(which: number | string): number {
    const { labels, classNames, name } = this;
    if (!labels || !classNames) {
      throw new RangeError(
        `Cannot take class ${which} of ${name}: it has no labels, wanted a labelled data set`,
      );
    }
    let label = typeof which === "number" ? which : classNames.indexOf(which);
    // A number written as text, as on a command line, names a class too.
    if (label < 0 && typeof which === "string" && /^\d+$/.test(which)) {
      label = Number(which);
    }
    if (!(label in classNames)) {
      throw new RangeError(
        `Cannot take class ${which} of ${name}: wanted one of ${
          classNames.join(", ")
        } or a number below ${classNames.length}`,
      );
    }
    return label;
  }

  /**
   * One line about the set.
   *
   * @returns Its name, the number, shape and type of its items, and the number of its classes.
   */
  summary(): string {
    const type = this.data instanceof Uint8Array ? "bytes" : "floats";
    const classes = this.classNames ? ` in ${this.classNames.length} classes` : "";
    const items = this.count === 1 ? "item" : "items";
    return `${this.name}: ${this.count.toLocaleString("en")} ${items} of ${
      this.shape.join("×")
    } ${type}${classes}`;
  }

  #like(
    data: Dataset["data"],
    labels: Uint32Array | undefined,
    name: string,
    items: Uint32Array | undefined,
  ): Dataset {
    const { shape, range, classNames } = this;
    return new Dataset({
      data,
      shape,
      range,
      name,
      ...(labels && { labels, classNames }),
      ...(items && { items }),
    });
  }

  #checkIndex(index: number, action: string): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.count) {
      throw new RangeError(
        `Cannot ${action} of ${this.name}: index is ${index}, wanted a whole number below ${this.count}`,
      );
    }
  }
}

showsItself(Dataset.prototype);
