/**
 * What denoisers compute on, for people who build their own: devices, stores of data, exact posteriors, states.
 *
 * ```ts
 * import { moons, openDevice } from "@closedform/diffusion";
 * import { referencePosterior } from "@closedform/diffusion/compute";
 * import assert from "node:assert/strict";
 *
 * const points = moons(100), x = Float64Array.of(0.5, 0.25);
 * using device = await openDevice("float64");
 * const store = await device.store(points);
 * const { mean } = await store.posterior(x, 0.3);
 * assert.deepEqual(mean, referencePosterior(points, x, 0.3).mean);
 * ```
 *
 * A store holds data on a device and answers with posteriors of them; all devices give the same answers, up to
 * their rounding, as the functions in float64 here.
 *
 * ## Stores
 *
 * - By name: {@linkcode DEVICE_NAMES}; data on a device: {@linkcode loadStore}; data that stay where they are:
 *   {@linkcode streamStore}, {@linkcode streamedMean}; of parts: {@linkcode mergePosteriors}
 *
 * ## In float64
 *
 * - {@linkcode referencePosterior}, {@linkcode referenceNeighbours}, {@linkcode referenceMasked},
 *   {@linkcode referenceWindowed}
 * - Which coordinates count: {@linkcode maskOf}, {@linkcode maskColumn}
 *
 * ## States and their algebra
 *
 * - Linear combinations of tensors or arrays: {@linkcode tensorSpace}, {@linkcode arraySpace}; of parts of their
 *   rows: {@linkcode rowSpace}
 * - {@linkcode symmetricEigen}, {@linkcode solveLinear}, {@linkcode kMeans}
 * - Random numbers by position: {@linkcode levelKey}, {@linkcode philox4x32}
 *
 * @module
 */
export { levelKey, philox4x32 } from "../base/random.ts";
export { kMeans } from "../linalg/k_means.ts";
export type { Clusters, KMeansOptions } from "../linalg/k_means.ts";
export { solveLinear } from "../linalg/solve_linear.ts";
export * from "../states/row_space.ts";
export * from "../states/linear_space.ts";
export type { State, StateNumbers } from "./batch.ts";
export type { DataStore, Device, DeviceKind, DeviceName, Float64Device } from "./device.ts";
export type { EigenDecomposition } from "./reference_eigen.ts";
export { referencePosterior } from "./float64/posterior.ts";
export { referenceWindowed } from "./float64/windowed.ts";
export * from "./load_store.ts";
export { maskColumn, maskOf } from "./mask.ts";
export type { Mask } from "./mask.ts";
export { referenceMasked } from "./masked_posterior.ts";
export type { MaskedOptions } from "./masked_posterior.ts";
export * from "./merge_posteriors.ts";
export { referenceNeighbours } from "./neighbours.ts";
export type { Neighbours } from "./neighbours.ts";
export { DEVICE_NAMES } from "./open_device.ts";
export type { PixelRegion } from "./pixel_region.ts";
export type { EvaluateOptions, PointSet, Posterior, PosteriorFacts, Sigma } from "./posterior.ts";
export type { PosteriorRounding, RoundedQuery, StoreRounding } from "./rounding.ts";
export { streamedMean, streamStore } from "./streamed/store.ts";
export type { PointSource, StreamOptions } from "./point_source.ts";
export type { Subset } from "./subset.ts";
export type { Distances } from "./subset_posterior.ts";
export { symmetricEigen } from "./symmetric_eigen.ts";
export type { TiltedPosterior, TiltedStore, TiltOptions, Tilts } from "./tilted.ts";
export type { Translations, WindowOptions, WindowPosterior } from "./windowed.ts";
export type { WorkOptions } from "./work_options.ts";
