/**
 * Data sets of numbers that are in memory, in whatever form they are.
 *
 * @module
 */
import { received } from "../base/_kinds.ts";
import { type OptionTable, readOptions } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { Dataset } from "./dataset.ts";

/** Numbers in arrays of arrays, the innermost plain or typed. */
export type NestedNumbers = ArrayLike<number> | readonly NestedNumbers[];

/** Options of {@linkcode dataset}. */
export interface DatasetOptions {
  /** The shape of one item: `[height, width, channels]` for images, `[d]` for points. Default: that of the nesting. */
  readonly shape?: readonly number[];
  /** The class of each item, by number or by name. Default: no classes. */
  readonly labels?: ArrayLike<number> | readonly string[];
  /** A name for each class, of labels that are numbers. Default: the class numbers. */
  readonly classNames?: readonly string[];
  /** A name for people to read. Default `"my data"`. */
  readonly name?: string;
  /** For bytes, the values that 0 and 255 stand for; for others, the values drawn black and white. Default `[-1, 1]`. */
  readonly range?: readonly [number, number];
}

const OPTIONS = {
  shape: undefined,
  labels: undefined,
  classNames: undefined,
  name: "my data",
  range: undefined,
} satisfies OptionTable<DatasetOptions>;

const ACTION = "make a data set";

/**
 * A data set of your own numbers: rows of numbers, one typed array with a shape, or a tensor.
 *
 * The first axis counts the items, the others are the shape of one. Bytes and float32 are used as they are, not copied;
 * other numbers become float32.
 *
 * @param numbers The items: nested arrays such as `[[0, 1], [2, 3]]`, a typed array of `N` items one after the other, or a
 * tensor `[N, …shape]`, which stays the caller's.
 * @param options Shape of an item, labels, name, range.
 * @returns The data set.
 * @throws {TypeError} If they are no numbers in rows of one shape, the shape is not known, or labels do not fit.
 * @throws {RangeError} If a number is not finite in float32, there are no items, or a label is not a whole number ≥ 0.
 *
 * @example Points, and images with labels
 * ```ts
 * import { dataset } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const mine = dataset([[0, 1], [2, 3], [1, 1]]);
 * assert.deepEqual([mine.count, ...mine.shape], [3, 2]);
 * const faces = dataset(new Uint8Array(2 * 64 * 64 * 3), { shape: [64, 64, 3], labels: ["Ann", "Bob"] });
 * assert.equal(faces.classSubset("Bob").count, 1);
 * ```
 */
export function dataset(
  numbers: NestedNumbers | AnyTensor,
  options: DatasetOptions = {},
): Dataset {
  const settings = readOptions(ACTION, options, OPTIONS);
  const { name, range, classNames } = settings;
  if (typeof name !== "string") {
    throw new TypeError(`Cannot ${ACTION}: name is ${received(name)}, wanted text`);
  }
  const { data, shape } = isTensor(numbers)
    ? ofTensor(numbers, settings.shape)
    : isTyped(numbers)
    ? ofTyped(numbers, settings.shape)
    : ofNested(numbers, settings.shape);
  const labels = settings.labels && labelsOf(settings.labels);
  return new Dataset({
    data,
    shape: [...shape],
    name,
    ...(range && { range }),
    ...(classNames && { classNames }),
    ...labels,
  });
}

type TypedNumbers = Exclude<ArrayLike<number> & ArrayBufferView, Uint8ClampedArray>;
type Rows = Pick<Dataset, "data" | "shape">;

function isTensor(thing: unknown): thing is AnyTensor {
  return typeof thing === "object" && thing !== null && "dataSync" in thing && "shape" in thing;
}

/** Whether it is an array of numbers by its type. */
function isTyped(thing: unknown): thing is TypedNumbers {
  return ArrayBuffer.isView(thing) && !(thing instanceof DataView) &&
    !(thing instanceof BigInt64Array || thing instanceof BigUint64Array);
}

function ofTensor(tensor: AnyTensor, wanted: readonly number[] | undefined): Rows {
  let values: TypedNumbers;
  try {
    values = tensor.dataSync() as TypedNumbers;
  } catch (cause) {
    throw new TypeError(
      `Cannot ${ACTION}: the numbers of the tensor cannot be read at once, wanted them read before, as by dataset(await x.data(), { shape: x.shape.slice(1) })`,
      { cause },
    );
  }
  if (tensor.shape.length < 2 && !wanted) throw unknownShape(`a tensor of [${tensor.shape}]`);
  return ofTyped(values, wanted ?? tensor.shape.slice(1));
}

function ofTyped(numbers: TypedNumbers, shape: readonly number[] | undefined): Rows {
  if (!shape) throw unknownShape(`a ${numbers.constructor.name} of ${numbers.length} numbers`);
  if (numbers instanceof Uint8Array) return { data: numbers, shape };
  if (numbers instanceof Uint8ClampedArray) {
    const { buffer, byteOffset, length } = numbers;
    return { data: new Uint8Array(buffer, byteOffset, length), shape };
  }
  const data = numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
  const at = data.findIndex((v) => !Number.isFinite(v));
  if (at >= 0) throw notFinite(`number ${at}`, numbers[at]);
  return { data, shape };
}

function ofNested(numbers: unknown, wanted: readonly number[] | undefined): Rows {
  if (!Array.isArray(numbers)) {
    throw new TypeError(
      `Cannot ${ACTION}: received ${
        received(numbers)
      }, wanted rows of numbers, a typed array or a tensor`,
    );
  }
  const [count, ...own] = nestedShape(numbers);
  if (own.length === 0 && !wanted) throw unknownShape(`a flat array of ${count} numbers`);
  const each = own.length === 0 ? 1 : sizeOf(own);
  if (wanted && own.length > 0 && sizeOf(wanted) !== each) {
    throw new TypeError(
      `Cannot ${ACTION}: items are of shape [${own}], wanted the option shape [${wanted}] to hold as many numbers`,
    );
  }
  const data = new Float32Array(count * each);
  fill(data, 0, numbers, [count, ...own], []);
  return { data, shape: wanted ?? own };
}

/** The shape of nested arrays, by their first elements. */
function nestedShape(numbers: unknown): number[] {
  const shape: number[] = [];
  for (let inner = numbers; Array.isArray(inner) || isTyped(inner); inner = inner[0]) {
    shape.push(inner.length);
  }
  return shape;
}

/** Writes nested arrays of a shape from a place on; returns the place after them. */
function fill(
  data: Float32Array,
  at: number,
  thing: unknown,
  shape: readonly number[],
  path: readonly number[],
): number {
  const place = () => path.length === 0 ? "the array" : `element [${path.join("][")}]`;
  if (shape.length === 0) {
    if (typeof thing !== "number") {
      throw new TypeError(
        `Cannot ${ACTION}: ${place()} is ${received(thing)}, wanted a number as in the first row`,
      );
    }
    data[at] = thing;
    if (!Number.isFinite(data[at])) throw notFinite(place(), thing);
    return at + 1;
  }
  const [length, ...inner] = shape;
  if (!(Array.isArray(thing) || isTyped(thing)) || thing.length !== length) {
    const found = isTyped(thing) ? `an array of ${thing.length}` : received(thing);
    throw new TypeError(
      `Cannot ${ACTION}: ${place()} is ${found}, wanted an array of ${length} as the first one`,
    );
  }
  for (let i = 0; i < length; i++) at = fill(data, at, thing[i], inner, [...path, i]);
  return at;
}

/** Labels as class numbers; names are numbered in their order of the alphabet. */
function labelsOf(
  labels: ArrayLike<number> | readonly string[],
): { labels: Uint32Array; classNames?: readonly string[] } {
  const list: unknown[] = Array.from(labels as ArrayLike<unknown>);
  if (list.length > 0 && list.every((label) => typeof label === "string")) {
    const classNames = [...new Set(list as string[])].sort();
    const numberOf = new Map(classNames.map((name, i) => [name, i]));
    return {
      labels: Uint32Array.from(list as string[], (name) => numberOf.get(name)!),
      classNames,
    };
  }
  const wrong = list.findIndex((label) => !Number.isInteger(label) || Number(label) < 0);
  if (wrong >= 0) {
    throw new RangeError(
      `Cannot ${ACTION}: label ${wrong} is ${
        received(list[wrong])
      }, wanted whole numbers >= 0, or names`,
    );
  }
  return { labels: Uint32Array.from(list as number[]) };
}

function unknownShape(found: string): TypeError {
  return new TypeError(
    `Cannot ${ACTION}: received ${found}, wanted the shape of one item with it, such as { shape: [2] }`,
  );
}

function notFinite(place: string, value: unknown): RangeError {
  return new RangeError(`Cannot ${ACTION}: ${place} is ${value}, wanted finite numbers of float32`);
}
