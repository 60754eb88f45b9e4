/**
 * DPM-Solver++ (3M), as published and corrected.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { MULTISTEP_OPTIONS } from "./_multistep_options.ts";
import { moments } from "./_moments.ts";
import { DPMPP_REFERENCES } from "./dpmpp_1.ts";
import { weightsOf2M } from "./dpmpp_2m.ts";
import { multistep } from "./multistep.ts";
import type { MultistepOptions, MultistepSampler } from "./multistep.ts";

/** Options of {@linkcode dpmpp3m}. */
export interface Dpmpp3mOptions extends MultistepOptions {
  /**
   * `"published"`, whose last term is half of what the Taylor expansion asks for: order two, and often more
   * accurate at twelve steps or fewer. `"taylor"`, the corrected one: order three. Default `"published"`.
   */
  readonly form?: "published" | "taylor";
}

const OPTIONS = { ...MULTISTEP_OPTIONS, form: "published" } satisfies OptionTable<Dpmpp3mOptions>;

/**
 * The multistep DPM-Solver++ with three outputs, one evaluation per step.
 *
 * ```text
 * A = (D_i − D_{i−1})/r₀,   B = (D_{i−1} − D_{i−2})/r₁,
 * D₁ = A + r₀/(r₀+r₁) (A − B),   D₂ = (A − B)/(r₀+r₁)
 * x' = ρ x + w D_i − a₁ D₁ − κ a₂ D₂
 * ```
 *
 * `κ = 1` is the published code. `D₂` approximates `h² D''/2`, whose moment is `M₂ = −2 a₂`, so `κ = 1` is
 * half of what it should be and the method has order two. `κ = 2` has order three, and is
 * {@linkcode exponentialAdams} of order three but for its steps of order two, which are those of
 * {@linkcode dpmpp2m} in both forms.
 *
 * References: C. Lu et al. (2022), arXiv:2211.01095; K. Zheng, C. Lu, J. Chen, J. Zhu (2023), arXiv:2310.13268.
 *
 * @param options The form; orders at the end.
 * @returns The sampler, named `dpmpp-3m` or `dpmpp-3m-taylor`.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { dpmpp3m } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(dpmpp3m().order, 2);
 * assert.equal(dpmpp3m({ form: "taylor" }).order, 3);
 * ```
 */
export function dpmpp3m(options: Dpmpp3mOptions = {}): MultistepSampler {
  const { form, ...others } = readOptions("make the sampler dpmpp-3m", options, OPTIONS);
  const taylor = form === "taylor";
  return multistep(
    {
      name: taylor ? "dpmpp-3m-taylor" : "dpmpp-3m",
      order: taylor ? 3 : 2,
      outputs: 3,
      references: DPMPP_REFERENCES,
    },
    {
      predict: (h, nodes) =>
        nodes.length < 2 ? weightsOf2M(h, nodes) : weights(h, nodes, taylor ? 2 : 1),
    },
    others,
  );
}

function weights(h: number, [first, second]: readonly number[], kappa: number): number[] {
  const [w, m1, m2] = moments(h, 2);
  const r0 = -first, r1 = first - second;
  // The weights of A and B, with −a₁ = M₁ and −a₂ = M₂/2.
  const curvature = (m1 * r0 + kappa * m2 / 2) / (r0 + r1);
  const a = (m1 + curvature) / r0, b = -curvature / r1;
  return [w + a, b - a, -b];
}
