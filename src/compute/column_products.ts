/**
 * Sums of products of the columns of a data set.
 *
 * @module
 */
import type { PointSet } from "./posterior.ts";
import type { WorkOptions } from "./work_options.ts";

/**
 * `Σᵢ (xᵢ − c)(xᵢ − c)ᵀ` in stored units by the threads of the CPU: exact for bytes, in float64 for floats.
 *
 * @param points The data.
 * @param centre The centre `c`, `d` numbers; whole ones for bytes.
 * @param options Signal, progress.
 * @returns `d` rows of `d` numbers, of which those on and above the diagonal count.
 * @throws {DeviceError} If there is not enough memory, or no SIMD WebAssembly.
 */
export async function columnProducts(
  points: PointSet,
  centre: Float64Array,
  options: WorkOptions = {},
): Promise<Float64Array> {
  const threaded = await import("./wasm/column_products.ts");
  return await threaded.columnProducts(points, centre, options);
}
