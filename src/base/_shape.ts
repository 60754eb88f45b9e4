/**
 * The number of numbers in an array of a shape.
 *
 * @param shape The shape; that of a single number is empty.
 * @returns The product of its sides.
 */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

/** Whether items of this shape are images: `[height, width]`, or with 1, 3 or 4 channels. */
export function isImage(shape: readonly number[]): boolean {
  return shape.length === 2 || (shape.length === 3 && [1, 3, 4].includes(shape[2]));
}
