import { received } from "../base/_kinds.ts";

/**
 * Checks samples at the public border.
 *
 * @param rows Samples, rows one after the other.
 * @param dimension Numbers per sample, `d`.
 * @param action What is attempted, for the message.
 * @returns The number of samples.
 * @throws {TypeError} If they are no positive, whole number of rows.
 * @throws {RangeError} If a number is not finite.
 */
export function checkRows(
  rows: ArrayLike<number>,
  dimension: number,
  action: string,
): number {
  if (typeof rows?.length !== "number" || typeof rows === "string") {
    throw new TypeError(
      `Cannot ${action}: samples are ${
        received(rows)
      }, wanted an array of numbers, such as by tensorSpace.values()`,
    );
  }
  const count = rows.length / dimension;
  if (
    !Number.isInteger(dimension) || dimension < 1 ||
    !Number.isInteger(count) || count < 1
  ) {
    throw new TypeError(
      `Cannot ${action}: received ${rows.length} numbers in rows of ${dimension}, wanted at least one whole row`,
    );
  }
  for (let i = 0; i < rows.length; i++) {
    if (!Number.isFinite(rows[i])) {
      throw new RangeError(
        `Cannot ${action}: sample ${Math.floor(i / dimension)} holds ${
          rows[i]
        }, wanted finite numbers`,
      );
    }
  }
  return count;
}
