/**
 * Rows in the coordinates of a basis, by the threads of the CPU.
 *
 * @module
 */

/** A basis `U` of `r` rows of `d` numbers. Its calls take turns. */
export interface Basis extends Disposable {
  /** `U e` for each row `e` of `d` numbers: rows of `r` numbers. */
  coordinates(rows: Float64Array): Promise<Float64Array>;
  /** `Uᵀ q` for each row `q` of `r` numbers: rows of `d` numbers. */
  combinations(coordinates: Float64Array): Promise<Float64Array>;
  /** `Uᵀ diag(g) U e` for each row `e` of `d` numbers, with `r` factors `g` per row: rows of `d` numbers. */
  filter(rows: Float64Array, factors: Float64Array): Promise<Float64Array>;
}

/**
 * Lays out a basis for the threads, which start with the first one.
 *
 * @param basis `U`, `r` rows of `d` numbers.
 * @param dimension `d`.
 * @returns The basis, to be disposed.
 * @throws {DeviceError} If there is not enough memory, or no SIMD WebAssembly.
 */
export async function openBasis(basis: Float64Array, dimension: number): Promise<Basis> {
  const { ThreadedBasis } = await import("./wasm/basis.ts");
  return await ThreadedBasis.open(basis, dimension);
}
