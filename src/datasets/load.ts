/**
 * Data sets by a short text, as on the command line.
 *
 * @module
 */
import { checkOptionNames, optionsFor, type OptionTable } from "../base/_options.ts";
import { inTurns } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { checkLimit } from "./_checks.ts";
import { exists } from "./_files.ts";
import { POINTS, SIZED, splitSpec } from "./_spec.ts";
import { builtinShapes } from "./builtin.ts";
import { readCifar10, readCifar100 } from "./cifar.ts";
import type { Dataset } from "./dataset.ts";
import {
  checkerboardInParts,
  circleInParts,
  gaussianMixtureInParts,
  moonsInParts,
  spiralsInParts,
} from "./generators.ts";
import { readMnist } from "./idx.ts";
import { readImages } from "./images.ts";
import type { ImagesOptions } from "./images.ts";
import { readMesh } from "./mesh.ts";
import { readCsv } from "./points.ts";
import { readNpy, readNpz } from "./read_npy.ts";
import type { NpyOptions } from "./read_npy.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";
import { shapesInParts } from "./shapes.ts";
import { tinyShapesInParts } from "./tiny_shapes.ts";

type Reader = (path: string, options: LoadOptions) => Promise<Dataset>;

/** Options of {@linkcode loadDataset}. */
export interface LoadOptions
  extends ReadOptions, Pick<ImagesOptions, "onPassedOver">, Pick<NpyOptions, "layout"> {}

const IMAGE_OPTIONS = { ...READ_OPTIONS, onPassedOver: undefined };
const ARRAY_OPTIONS = { ...READ_OPTIONS, layout: undefined };
const OPTIONS = { ...IMAGE_OPTIONS, ...ARRAY_OPTIONS } satisfies OptionTable<LoadOptions>;

/** A reader that is given those of the options that it takes. */
function taking(table: Partial<typeof OPTIONS>, read: Reader): Reader {
  return (path, options) => read(path, optionsFor(table, options));
}

const READERS: Record<string, Reader> = {
  mnist: taking(READ_OPTIONS, readMnist),
  cifar10: taking(READ_OPTIONS, readCifar10),
  cifar100: taking(READ_OPTIONS, readCifar100),
  images: taking(IMAGE_OPTIONS, readSized),
  npy: taking(ARRAY_OPTIONS, readNpy),
  npz: taking(ARRAY_OPTIONS, readNpz),
  csv: taking(READ_OPTIONS, readCsv),
  mesh: taking(READ_OPTIONS, readPoints),
};

const GENERATORS: Record<string, (n: number) => Interruptible<Dataset>> = {
  moons: moonsInParts,
  circle: circleInParts,
  checkerboard: checkerboardInParts,
  spirals: spiralsInParts,
  gaussians: gaussianMixtureInParts,
  shapes: shapesInParts,
  "tiny-shapes": tinyShapesInParts,
};

async function readSized(path: string, options: LoadOptions): Promise<Dataset> {
  const [, folder, height, width = height] = SIZED.exec(path) ?? [];
  if (folder === undefined) return await readImages(path, options);
  return await readImages(folder, { ...options, size: [Number(height), Number(width)] });
}

async function readPoints(path: string, options: ReadOptions): Promise<Dataset> {
  const [, file, count, method, seed] = POINTS.exec(path) ?? [];
  if (file === undefined) return await readMesh(path, options);
  return await readMesh(file, {
    ...options,
    count: Number(count),
    ...(method && { method: method as "area" | "farthest" }),
    ...(seed && { seed: Number(seed) }),
  });
}

/**
 * What {@linkcode loadDataset} understands, one form per entry.
 *
 * @example
 * ```ts
 * import { DATASET_SPECS } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.ok(DATASET_SPECS.includes("images:PATH") && DATASET_SPECS.includes("moons:N"));
 * ```
 */
export const DATASET_SPECS: readonly string[] = [
  "builtin:shapes",
  ...Object.keys(READERS).map((scheme) => `${scheme}:PATH`),
  ...Object.keys(GENERATORS).map((scheme) => `${scheme}:N`),
];

/**
 * Loads or generates a data set by a text like `mnist:PATH` or `moons:1000`. Of a mesh, the number of
 * points may follow, and how they are chosen and by which seed: `mesh:PATH:200`, `mesh:PATH:200:farthest`,
 * `mesh:PATH:200:area:7`. Of images, the size that all are given may follow: `images:PATH:64`, or
 * `images:PATH:48x64` for height and width.
 *
 * @param spec One of {@linkcode DATASET_SPECS}, with a path or a number of items.
 * @param options Limit, signal, progress, layout of arrays, and who is told of what is passed over or recognised.
 * @returns The data set.
 * @throws {RangeError} If there is no such form, the number is out of range, or a layout is given for what is no array.
 * @throws {DatasetError} If the path cannot be read as this kind of data.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { loadDataset } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal((await loadDataset("moons:500")).count, 500);
 * assert.equal((await loadDataset("builtin:shapes", { limit: 64 })).count, 64);
 * await assert.rejects(loadDataset("suns:500"), RangeError);
 * ```
 */
export async function loadDataset(
  spec: string,
  options: LoadOptions = {},
): Promise<Dataset> {
  checkOptionNames(`load the data set ${spec}`, options, OPTIONS);
  const limit = checkLimit(options.limit);
  options.signal?.throwIfAborted();
  const { layout } = options;
  if (layout !== undefined && !/^np[yz]:/.test(spec)) {
    throw new RangeError(
      `Cannot load the data set ${spec}: the layout is ${layout}, wanted none but for npy:PATH and npz:PATH`,
    );
  }
  if (spec === "builtin:shapes") return await builtinShapes(optionsFor(READ_OPTIONS, options));
  const [scheme, rest] = splitSpec(spec);
  if (Object.hasOwn(READERS, scheme) && rest !== "") {
    return await READERS[scheme](rest, options);
  }
  if (Object.hasOwn(GENERATORS, scheme) && /^[1-9]\d*$/.test(rest)) {
    return await inTurns(GENERATORS[scheme](Math.min(Number(rest), limit)), options.signal);
  }
  // A path by itself lacks no more than its scheme.
  const isPath = !/^[\w-]{2,}:/.test(spec) && await exists(spec);
  const form = isPath ? `${schemeOf(spec)}:${spec}, or ` : "";
  throw new RangeError(
    `Cannot load the data set ${spec}: wanted ${form}one of ${DATASET_SPECS.join(", ")}`,
  );
}

/** What a path without a scheme may be meant as, by its extension. */
function schemeOf(path: string): string {
  const [, extension = ""] = /\.(npy|npz|csv|obj|ply)(?:\.gz)?$/i.exec(path) ?? [];
  const scheme = extension.toLowerCase();
  return scheme === "obj" || scheme === "ply" ? "mesh" : scheme || "images";
}
