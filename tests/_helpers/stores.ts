/** Optimal denoisers over a store of a test's own, which counts or errs. */
import type { DataStore, OptimalDenoiser } from "@closedform/diffusion";
import { dataOf, keepCapabilities } from "../../src/denoisers/_capabilities.ts";

/** The optimal denoiser over another store of the same items. */
export function overStore(base: OptimalDenoiser, store: DataStore): OptimalDenoiser {
  const denoiser: OptimalDenoiser = {
    ...base,
    store,
    async denoise(x, sigma, options) {
      const { mean, facts } = await store.posterior(x, sigma, options);
      return { mean, ...facts };
    },
  };
  keepCapabilities(denoiser, {
    data: dataOf(base, "test"),
    subset: {
      count: store.count,
      store,
      denoiseOn: async (x, sigma, subsets, options) =>
        (await store.posteriorOn(x, sigma, subsets, options)).mean,
    },
  });
  return denoiser;
}
