/**
 * The data set that comes with the package.
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import { inTurns } from "../base/_turns.ts";
import { fromFileUrl } from "@std/path";
import { exists } from "./_files.ts";
import type { Dataset } from "./dataset.ts";
import { readIdx } from "./idx.ts";
import { READ_OPTIONS, type ReadOptions } from "./read_options.ts";
import { SHAPE_CLASSES, shapesInParts } from "./shapes.ts";

/**
 * The shipped data set, `shapes(4096)`: read from `data/` in a clone, drawn anew
 * where the package comes without that folder. Both are the same, byte for byte.
 *
 * @param options Limit, signal, progress.
 * @returns 4,096 byte images of shape `[32, 32, 3]` in six classes.
 * @throws {DatasetError} If the shipped files are damaged.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { builtinShapes } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const set = await builtinShapes();
 * assert.equal(set.summary(), "shapes: 4,096 items of 32×32×3 bytes in 6 classes");
 * ```
 */
export async function builtinShapes(
  options: ReadOptions = {},
): Promise<Dataset> {
  checkOptionNames("read the shapes", options, READ_OPTIONS);
  const [images, labels] = ["images-idx4", "labels-idx1"].map((name) =>
    new URL(`../../data/shapes/${name}-ubyte.gz`, import.meta.url)
  );
  // A package from a registry is not a folder of files, and has no data/.
  if (images.protocol !== "file:" || !await exists(fromFileUrl(images))) {
    return await inTurns(shapesInParts(Math.min(4096, options.limit ?? 4096)), options.signal);
  }
  return await readIdx(fromFileUrl(images), {
    ...options,
    labels: fromFileUrl(labels),
    classNames: SHAPE_CLASSES,
    name: "shapes",
  });
}
