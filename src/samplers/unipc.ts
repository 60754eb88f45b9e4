/**
 * UniPC: an exponential predictor and a corrector that costs no call.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { MULTISTEP_OPTIONS } from "./_multistep_options.ts";
import { momentWeights, withStart } from "./_moments.ts";
import { multistep } from "./multistep.ts";
import type { MultistepOptions, MultistepSampler } from "./multistep.ts";

/** Options of {@linkcode unipc}. */
export interface UniPCOptions extends MultistepOptions {
  /** The order `p` of its predictor, 1, 2 or 3. Default 3. */
  readonly order?: number;
  /** The function `B(h)`: `"B1"` is `h`, `"B2"` is `1 − e^{−h}`. Default `"B2"`, the safer one at few steps. */
  readonly b?: "B1" | "B2";
  /** Whether to correct. Default true. */
  readonly corrector?: boolean;
}

const OPTIONS = { ...MULTISTEP_OPTIONS, order: 3, b: "B2", corrector: true } satisfies OptionTable<
  UniPCOptions
>;

/**
 * UniPC in data prediction: a predictor of order `p` and a corrector of order `p + 1`, one evaluation per step.
 *
 * ```text
 * Eⱼ = (D_{i−j} − D_i)/rⱼ,   b_k = k! a_k/B,   Σⱼ gⱼ rⱼ^{k−1} = b_k
 * predictor: x_p = ρ x + w D_i − B Σ_{j<p} gⱼ Eⱼ
 * corrector: x' = ρ x + w D_i − B [ Σ_{j<p} gⱼ Eⱼ + g_p (D(x_p, σ') − D_i) ]
 * ```
 *
 * The output at `x_p` is kept for the next step, and not evaluated again at `x'`. Where the system is
 * solved, `B g` does not depend on `B`, and the weights are those of exponential Adams methods. The
 * published shortcuts `g = ½`, in the predictor of order 2 and the corrector of order 1, are where `B`
 * matters. There is no correction on the last step.
 *
 * Reference: W. Zhao, L. Bai, Y. Rao, J. Zhou, J. Lu (2023), UniPC, arXiv:2302.04867.
 *
 * @param options Order, `B(h)`, corrector; orders at the end.
 * @returns The sampler, named `unipc`, with `-p` for orders other than 3, `-b1` for `B1` and `unip` without corrector;
 * its order is `p + 1`, without corrector `p`.
 * @throws {RangeError} If the order is not 1, 2 or 3.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { unipc } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.equal(unipc().name, "unipc");
 * assert.equal(unipc({ order: 2, b: "B1" }).order, 3);
 * ```
 */
export function unipc(options: UniPCOptions = {}): MultistepSampler {
  const { order, b, corrector, ...others } = readOptions(
    "make the sampler UniPC",
    options,
    OPTIONS,
  );
  if (![1, 2, 3].includes(order)) {
    throw new RangeError(`Cannot make the sampler UniPC: order is ${order}, wanted 1, 2 or 3`);
  }
  const half = (h: number) => (b === "B1" ? h : -Math.expm1(-h)) / 2;
  return multistep(
    {
      name: (corrector ? "unipc" : "unip") + (order === 3 ? "" : `-${order}`) +
        (b === "B1" ? "-b1" : ""),
      order: corrector ? order + 1 : order,
      outputs: order,
      references: [
        "W. Zhao, L. Bai, Y. Rao, J. Zhou, J. Lu (2023), UniPC, arXiv:2302.04867",
      ],
    },
    {
      // One other node is where the published code takes g = ½: −B g/r = B/2r.
      predict: (h, nodes) =>
        nodes.length === 1 ? shortcut(h, half(h) / nodes[0]) : momentWeights(h, nodes),
      ...(corrector && {
        correct: (h, nodes) => nodes.length === 1 ? shortcut(h, half(h)) : momentWeights(h, nodes),
      }),
    },
    others,
  );
}

function shortcut(h: number, weight: number): number[] {
  return withStart(-Math.expm1(-h), [weight]);
}
