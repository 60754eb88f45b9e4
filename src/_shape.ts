/**
 * The number of numbers in an array of a shape.
 *
 * @param shape The shape; that of a single number is empty.
 * @returns The product of its sides.
 */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}
