/**
 * Checks that a matrix is symmetric up to rounding.
 *
 * The two halves may come from sums in another order, which leaves differences of some units in the last place
 * of the largest element, however small an element itself is.
 *
 * @param matrix The matrix, `n` rows of `n` finite numbers.
 * @param n Its number of rows.
 * @param action What is attempted, for the message.
 * @throws {TypeError} If elements across the diagonal differ by more than 1e-12 of the largest one.
 */
export function checkSymmetric(matrix: ArrayLike<number>, n: number, action: string): void {
  let largest = 0, odd = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const a = matrix[i * n + j], b = matrix[j * n + i];
      largest = Math.max(largest, Math.abs(a), Math.abs(b));
      odd = Math.max(odd, Math.abs(a - b));
    }
  }
  if (odd > 1e-12 * largest) {
    throw new TypeError(
      `Cannot ${action}: elements across the diagonal differ by ${odd}, wanted a symmetric matrix`,
    );
  }
}
