/** Splits a polygon into the triangles around its first corner, and appends them. */
export function fan(
  corners: ArrayLike<number>,
  triangles: number[],
): void {
  for (let k = 2; k < corners.length; k++) {
    triangles.push(corners[0], corners[k - 1], corners[k]);
  }
}
