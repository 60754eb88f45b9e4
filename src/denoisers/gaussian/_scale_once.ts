import type { AnyTensor } from "../../states/linear_space.ts";
import { tensorSpace } from "../../states/linear_space.ts";
import { inTensors, isLarge, shaped } from "./_axis_products.ts";
import { scaleRows } from "./gaussian_axes.ts";
import type { AxisFactor } from "./gaussian_axes.ts";
import type { GaussianLaw } from "./gaussian_law.ts";

/**
 * Scales a batch along the axes of a law, with nothing kept for the next time: by loops in float64, or on tfjs's active backend
 * if the basis is large.
 *
 * @param law The law.
 * @param x States, shape `[B, …]` with `d` numbers per row. Not disposed.
 * @param factor The factor of a row and a variance.
 * @returns The scaled states, a new tensor of the shape of `x`.
 */
export async function scaleOnce(
  law: GaussianLaw,
  x: AnyTensor,
  factor: AxisFactor,
): Promise<AnyTensor> {
  const values = await x.data<"float32">();
  if (!isLarge(law)) return tensorSpace.from(scaleRows(law, values, factor), x.shape);
  using axes = inTensors(law);
  return shaped(await axes.scale(values, factor), x.shape);
}
