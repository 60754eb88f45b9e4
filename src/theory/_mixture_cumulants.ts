/**
 * Cumulants of mixtures as whole tensors, for few dimensions.
 *
 * @module
 */
import { alongAxes } from "../denoisers/gaussian/gaussian_law.ts";
import { meanOfMixture } from "../denoisers/gaussian/mixture_law.ts";
import type { MixtureLaw } from "../denoisers/gaussian/mixture_law.ts";

/** Centres about the mean, covariances and weights of a mixture. */
interface Moments {
  readonly d: number;
  readonly parts: { weight: number; centre: Float64Array; covariance: Float64Array }[];
}

function momentsOf(law: MixtureLaw): Moments {
  const mean = meanOfMixture(law), d = mean.length;
  const parts = law.components.map((component, m) => {
    const covariance = new Float64Array(d * d);
    for (let i = 0; i < d; i++) {
      const unit = new Float64Array(d);
      unit[i] = 1;
      covariance.set(alongAxes(component, unit, (v) => v), i * d);
    }
    const centre = component.mean.map((v, c) => v - mean[c]);
    return { weight: law.weights[m], centre, covariance };
  });
  return { d, parts };
}

/** `κ₃ = Σₘ wₘ (c⊗c⊗c + sym₃ c⊗Σₘ)`: `d³` numbers, element `ijk` at `(i d + j) d + k`. */
export function thirdCumulants(law: MixtureLaw): Float64Array {
  const { d, parts } = momentsOf(law);
  const tensor = new Float64Array(d ** 3);
  for (const { weight, centre: c, covariance: s } of parts) {
    for (let at = 0; at < tensor.length; at++) {
      const i = Math.floor(at / (d * d)), j = Math.floor(at / d) % d, k = at % d;
      const spread = c[i] * s[j * d + k] + c[j] * s[i * d + k] + c[k] * s[i * d + j];
      tensor[at] += weight * (c[i] * c[j] * c[k] + spread);
    }
  }
  return tensor;
}

/** `κ₄`, the fourth moments less those of the Gaussian with the same covariance: `d⁴` numbers. */
export function fourthCumulants(law: MixtureLaw): Float64Array {
  const { d, parts } = momentsOf(law);
  const tensor = new Float64Array(d ** 4);
  const total = new Float64Array(d * d);
  for (const { weight, centre: c, covariance: s } of parts) {
    for (let at = 0; at < d * d; at++) {
      total[at] += weight * (s[at] + c[Math.floor(at / d)] * c[at % d]);
    }
  }
  const indices = (at: number) => [3, 2, 1, 0].map((p) => Math.floor(at / d ** p) % d);
  // E[abcd] of a Gaussian with centre c: c⁴ + six terms c c Σ + three terms Σ Σ.
  const moment = (c: Float64Array, s: Float64Array, [i, j, k, l]: number[]) => {
    const pairings = [[i, j, k, l], [i, k, j, l], [i, l, j, k]];
    return c[i] * c[j] * c[k] * c[l] +
      pairings.reduce(
        (sum, [p, q, r, t]) =>
          sum + c[p] * c[q] * s[r * d + t] + s[p * d + q] * c[r] * c[t] +
          s[p * d + q] * s[r * d + t],
        0,
      );
  };
  const origin = new Float64Array(d);
  for (let at = 0; at < tensor.length; at++) {
    const place = indices(at);
    for (const { weight, centre, covariance } of parts) {
      tensor[at] += weight * moment(centre, covariance, place);
    }
    tensor[at] -= moment(origin, total, place);
  }
  return tensor;
}

/** The Frobenius norm of a tensor. */
export function frobenius(tensor: Float64Array): number {
  return Math.sqrt(tensor.reduce((sum, v) => sum + v * v, 0));
}
