/**
 * How large the windows of a local denoiser are at each noise level, as calibrated against trained networks.
 *
 * @module
 */

/** The networks whose windows were calibrated, at 32 × 32 pixels. */
export type PatchTableName =
  | "cifar-unet"
  | "cifar-resnet-zero"
  | "cifar-resnet-circular"
  | "mnist-unet"
  | "mnist-resnet-zero"
  | "mnist-resnet-circular"
  | "fashion-unet"
  | "fashion-resnet-zero"
  | "celeba-unet"
  | "celeba-resnet-zero";

/** Sides of windows by noise level. */
export interface PatchTable {
  /** Noise levels in data units, rising. */
  readonly sigmas: readonly number[];
  /** The side of the windows at each of them, odd. */
  readonly patches: readonly number[];
}

/** The side of the windows as a function of the noise level. */
export type PatchSchedule = (sigma: number) => number;

/** The side of windows: a number for all noise levels, a function of the noise level, a table, or the name of a published one. */
export type Patch = number | PatchSchedule | PatchTable | PatchTableName;

/** The noise levels of the calibration: `σᵢ = tan(πi/40.32)`, `i = 0 … 19`. */
const SIGMAS: readonly number[] = Array.from(
  { length: 20 },
  (_, i) => Math.tan(Math.PI * i / 40.32),
);
/** The side of the images it was made on. */
const CALIBRATED_SIDE = 32;

const PATCHES: Readonly<Record<PatchTableName, readonly number[]>> = {
  "cifar-unet": [3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7, 9, 9, 11, 13, 13, 15, 17, 25],
  "cifar-resnet-zero": [3, 3, 3, 3, 5, 5, 5, 7, 7, 7, 7, 9, 9, 11, 11, 13, 15, 17, 17, 17],
  "cifar-resnet-circular": [3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15, 15],
  "mnist-unet": [3, 3, 3, 5, 5, 7, 7, 7, 9, 9, 9, 11, 13, 15, 17, 21, 23, 23, 25, 27],
  "mnist-resnet-zero": [3, 3, 5, 5, 5, 7, 7, 7, 9, 9, 11, 11, 11, 11, 13, 15, 15, 15, 15, 15],
  "mnist-resnet-circular": [3, 3, 5, 5, 5, 7, 7, 9, 9, 9, 11, 11, 11, 11, 9, 9, 7, 7, 3, 3],
  "fashion-unet": [3, 3, 5, 5, 7, 7, 7, 9, 11, 11, 11, 13, 15, 15, 21, 23, 25, 25, 25, 25],
  "fashion-resnet-zero": [3, 3, 5, 5, 7, 7, 9, 9, 9, 11, 11, 11, 13, 13, 13, 15, 15, 15, 17, 17],
  "celeba-unet": [3, 3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 7, 7, 9, 9, 9, 13, 19, 27],
  "celeba-resnet-zero": [3, 3, 3, 5, 5, 5, 5, 5, 7, 7, 9, 9, 9, 11, 11, 11, 13, 15, 19, 19],
};

/**
 * The names of the published tables.
 *
 * @example
 * ```ts
 * import { PATCH_TABLES, patchTable } from "./patch_schedule.ts";
 * import assert from "node:assert/strict";
 *
 * for (const name of PATCH_TABLES) assert.equal(patchTable(name).patches.length, 20);
 * ```
 */
export const PATCH_TABLES: readonly PatchTableName[] = Object.keys(PATCHES) as PatchTableName[];

/**
 * A published table: windows calibrated against a trained network by the cosine of its score with that of a local denoiser, at the 20
 * noise levels `σᵢ = tan(πi/40.32)` and at 32 × 32 pixels.
 *
 * Reference: M. Kamb, S. Ganguli (2024), arXiv:2412.20292, and its code; entries in the convention of its sampler, which reads
 * entry `i` at the noise level `σᵢ`.
 *
 * @param name Which network on which data.
 * @returns The table.
 * @throws {RangeError} If there is no such table.
 *
 * @example
 * ```ts
 * import { patchTable } from "./patch_schedule.ts";
 * import assert from "node:assert/strict";
 *
 * const { sigmas, patches } = patchTable("cifar-unet");
 * assert.equal(patches[19], 25);
 * assert.equal(sigmas[19].toFixed(1), "11.0");
 * ```
 */
export function patchTable(name: PatchTableName): PatchTable {
  if (!Object.hasOwn(PATCHES, name)) {
    throw new RangeError(
      `Cannot look up the windows of ${name}: wanted one of ${PATCH_TABLES.join(", ")}`,
    );
  }
  return { sigmas: SIGMAS, patches: PATCHES[name] };
}

/**
 * The windows that are taken where none are given, whatever the data are: one published table, of a U-Net on CIFAR-10, scaled with
 * the side of the images. {@linkcode calibratePatches} finds those of the data at hand; it costs an evaluation for each noise
 * level and side that it tries.
 *
 * @example
 * ```ts
 * import { patchSchedule } from "@closedform/diffusion";
 * import { DEFAULT_WINDOWS } from "./patch_schedule.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(patchSchedule(DEFAULT_WINDOWS, 32)(0.5), 5);
 * ```
 */
export const DEFAULT_WINDOWS: PatchTableName = "cifar-unet";

/**
 * The side of windows as a function of the noise level: the entry of a table that is nearest in the angle `atan σ`, scaled with the
 * side of the images.
 *
 * ```text
 * P(σ) = the odd number nearest to P_i · side/32,   i = argmin |atan σ − atan σ_i|
 * ```
 *
 * A number holds at all noise levels, and a function is taken as it is; neither is scaled, nor is a table of one's own.
 *
 * @param patch What to make a function of.
 * @param side The smaller side of the images in pixels; it matters for published tables. Default 32.
 * @returns The function.
 * @throws {RangeError} If there is no such table, or a side is neither odd nor infinite.
 * @throws {TypeError} If a table has not one side per noise level.
 *
 * @example
 * ```ts
 * import { ddpmGrid, patchSchedule } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const patches = ddpmGrid(10).sigmas.slice(0, 10).map(patchSchedule("cifar-unet"));
 * assert.deepEqual(patches, [25, 25, 25, 17, 15, 11, 7, 7, 5, 3]);
 * assert.equal(patchSchedule("cifar-unet", 64)(60), 49);
 * ```
 */
export function patchSchedule(patch: Patch, side: number = CALIBRATED_SIDE): PatchSchedule {
  if (typeof patch === "function") return patch;
  if (typeof patch === "number") {
    checkSide(patch);
    return () => patch;
  }
  if (typeof patch !== "string") return nearest(patch);
  const { sigmas, patches } = patchTable(patch);
  return nearest({ sigmas, patches: patches.map((p) => scaled(p, side)) });
}

function nearest({ sigmas, patches }: PatchTable): PatchSchedule {
  if (sigmas.length === 0 || sigmas.length !== patches.length) {
    throw new TypeError(
      `Cannot make a schedule of windows: received ${patches.length} sides for ${sigmas.length} noise levels, wanted one each`,
    );
  }
  patches.forEach(checkSide);
  const angles = sigmas.map(Math.atan);
  return (sigma) => {
    const angle = Math.atan(sigma);
    let best = 0;
    for (let i = 1; i < angles.length; i++) {
      if (Math.abs(angles[i] - angle) < Math.abs(angles[best] - angle)) best = i;
    }
    return patches[best];
  };
}

function checkSide(side: number): void {
  if (!(side === Infinity || (side >= 1 && side % 2 === 1))) {
    throw new RangeError(
      `Cannot make windows: a side is ${side}, wanted an odd number or Infinity`,
    );
  }
}

/** The odd number nearest to a side on images of another size; of two, the smaller. */
function scaled(patch: number, side: number): number {
  return 2 * Math.max(0, Math.ceil((patch * side / CALIBRATED_SIDE - 1) / 2 - 0.5)) + 1;
}
