/** Everything that the entries export, and parts of it that they do not, for tests that call those as well. */
export * from "./all_entries.ts";
export { checkSigmas, gridByName } from "../../src/base/noise.ts";
export { patchTable } from "../../src/denoisers/local/patch_schedule.ts";
export { publishedTheta } from "../../src/denoisers/local/pca_locality.ts";
export { publishedSizes } from "../../src/denoisers/golden/schedule.ts";
export { smoothingSteps } from "../../src/denoisers/smoothing_defaults.ts";
export { blankBitmap, joinBitmaps } from "../../src/plots/bitmap.ts";
export { samplerByName, takesTolerance } from "../../src/samplers/registry.ts";
