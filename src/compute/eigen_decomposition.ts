/**
 * The eigen-decomposition of symmetric matrices, in float64.
 *
 * @module
 */
import type { WorkOptions } from "./work_options.ts";
import { referenceEigen } from "./reference_eigen.ts";
import type { EigenDecomposition } from "./reference_eigen.ts";

// Smaller matrices take less time than to start threads.
const LEAST_THREADED = 193;

/**
 * The eigen-decomposition of a matrix of any size, by threads if that is faster.
 *
 * The threads' way is ours because no kept-up package has one: of those that run in Deno, ml-matrix takes 17 times as
 * long at 3,072 dimensions (plain loops, no progress), the build of LAPACK for JavaScript is not kept up, and
 * others have Jacobi's method in float32.
 *
 * @param matrix The matrix, `n` rows of `n` numbers; the part on and below the diagonal counts.
 * @param n Its size.
 * @param options Signal, progress.
 * @throws {RangeError} If a number is not finite.
 * @throws {DeviceError} If there is not enough memory, or no SIMD WebAssembly.
 */
export async function eigenDecomposition(
  matrix: Float64Array,
  n: number,
  options: WorkOptions = {},
): Promise<EigenDecomposition> {
  options.signal?.throwIfAborted();
  if (n < LEAST_THREADED) return referenceEigen(matrix, n);
  const { threadedEigen } = await import("./wasm/threaded_eigen.ts");
  return await threadedEigen(matrix, n, options);
}
