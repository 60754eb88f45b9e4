/** Denoisers in float64 by names of their own, those that need not wait without a promise. */
import { mixture, pcaLocality, wiener } from "@closedform/diffusion";
import { arraySpace } from "@closedform/diffusion/compute";
import { DEFAULT_WINDOWS } from "../../src/denoisers/local/patch_schedule.ts";
import type {
  Dataset,
  Denoiser,
  EquivariantOptions,
  GaussianLaw,
  GaussianOptions,
  LocalOptions,
  MixtureDenoiser,
  MixtureFitOptions,
  MixtureLaw,
  OptimalDenoiser,
  OptimalOptions,
  PcaLocalityOptions,
  SpectrumOptions,
  StoredWindowDenoiser,
} from "@closedform/diffusion";
import type { State } from "../../src/compute/batch.ts";
import { float64Device, float64Store } from "../../src/compute/float64/device.ts";
import { axesOver } from "../../src/denoisers/gaussian/gaussian_axes.ts";
import { gaussianOver } from "../../src/denoisers/gaussian/gaussian.ts";
import { mixtureOver } from "../../src/denoisers/gaussian/mixture_of.ts";
import { equivariantModel } from "../../src/denoisers/local/equivariant.ts";
import { localModel } from "../../src/denoisers/local/local.ts";
import { windowDenoiser } from "../../src/denoisers/local/windowed.ts";
import type { WindowModel } from "../../src/denoisers/local/windowed.ts";
import { optimalOver } from "../../src/denoisers/optimal.ts";
import type { StateSpace } from "../../src/states/linear_space.ts";

const DEVICE = float64Device("for tests");
const SPACE = arraySpace as StateSpace<unknown> as StateSpace<State>;
const device = "float64";

type InClass = Pick<OptimalOptions, "class">;

const inClass = (set: Dataset, { class: only }: InClass) =>
  only === undefined ? set : set.classSubset(only);

/** The optimal denoiser. */
export function optimalFloat64(set: Dataset, options: InClass = {}): OptimalDenoiser<Float64Array> {
  const data = inClass(set, options);
  return optimalOver(float64Store(data), data, DEVICE) as OptimalDenoiser<State> as OptimalDenoiser<
    Float64Array
  >;
}

function windowed(model: WindowModel): StoredWindowDenoiser<Float64Array> {
  return windowDenoiser(model, float64Store(model.data), DEVICE) as StoredWindowDenoiser<
    State
  > as StoredWindowDenoiser<Float64Array>;
}

/** The local denoiser. */
export function localFloat64(
  set: Dataset,
  { windows = DEFAULT_WINDOWS, ...options }: LocalOptions = {},
): StoredWindowDenoiser<Float64Array> {
  return windowed(localModel(inClass(set, options), { windows, ...options }));
}

/** The equivariant denoiser. */
export function equivariantFloat64(
  set: Dataset,
  { windows = DEFAULT_WINDOWS, dictionary = "circular", ...options }: EquivariantOptions = {},
): StoredWindowDenoiser<Float64Array> {
  return windowed(equivariantModel(inClass(set, options), {
    ...{ windows, dictionary },
    limit: options.limit,
    onProgress: options.onProgress,
  }));
}

/** The denoiser of a Gaussian. */
export function gaussianFloat64(law: GaussianLaw, options: GaussianOptions = {}) {
  return gaussianOver(law, axesOver(law), SPACE, options) as Denoiser<State> as Denoiser<
    Float64Array
  >;
}

/** The denoiser of a mixture. */
export function mixtureOfFloat64(law: MixtureLaw, options: GaussianOptions = {}) {
  return mixtureOver(law, undefined, SPACE, options) as MixtureDenoiser<State> as MixtureDenoiser<
    Float64Array
  >;
}

/** The Wiener filter. */
export const wienerFloat64 = (set: Dataset, options: SpectrumOptions = {}) =>
  wiener(set, { ...options, device });

/** The denoiser of a mixture that is fitted. */
export const mixtureFloat64 = (set: Dataset, options: MixtureFitOptions = {}) =>
  mixture(set, { ...options, device });

/** PCA locality. */
export const pcaLocalityFloat64 = (set: Dataset, options: PcaLocalityOptions = {}) =>
  pcaLocality(set, { ...options, device });
