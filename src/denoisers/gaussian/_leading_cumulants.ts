/**
 * Cumulants of a data set in a few directions, from all its items.
 *
 * @module
 */
import { affineOf } from "../../compute/posterior.ts";
import type { Dataset } from "../../datasets/dataset.ts";
import type { Spectrum } from "./spectrum.ts";

/** Sums of squares over the cumulants in the first directions of a spectrum. */
export interface LeadingCumulants {
  /** `‖κ₃‖²` there. */
  readonly third: number;
  /** `‖κ₄‖²` there. */
  readonly fourth: number;
}

/**
 * The coordinates of items along the first directions of a spectrum.
 *
 * @returns `rank` numbers per item.
 */
export function leadingCoordinates(
  dataset: Dataset,
  { mean, basis }: Spectrum,
  rank: number,
  chosen: ArrayLike<number>,
): Float64Array {
  const { data, dimension } = dataset;
  const { scale, offset } = affineOf(dataset);
  const coordinates = new Float64Array(chosen.length * rank);
  const row = new Float64Array(dimension);
  for (let at = 0; at < chosen.length; at++) {
    const from = chosen[at] * dimension;
    for (let c = 0; c < dimension; c++) row[c] = data[from + c] * scale + offset - mean[c];
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let c = 0, axis = k * dimension; c < dimension; c++) sum += row[c] * basis[axis + c];
      coordinates[at * rank + k] = sum;
    }
  }
  return coordinates;
}

/**
 * The cumulants of rows of `rank` numbers about 0, as tensors of which the elements of rising indices are kept.
 */
export function leadingCumulants(rows: Float64Array, rank: number): LeadingCumulants {
  const moments = momentsOf(rows, rank);
  const covariance = (a: number, b: number) => moments[0][a * rank - a * (a - 1) / 2 + (b - a)];
  let third = 0, fourth = 0, at3 = 0, at4 = 0;
  for (let a = 0; a < rank; a++) {
    for (let b = a; b < rank; b++) {
      for (let c = b; c < rank; c++) {
        third += arrangements([a, b, c]) * moments[1][at3++] ** 2;
        for (let e = c; e < rank; e++) {
          const gaussian = covariance(a, b) * covariance(c, e) +
            covariance(a, c) * covariance(b, e) + covariance(a, e) * covariance(b, c);
          fourth += arrangements([a, b, c, e]) * (moments[2][at4++] - gaussian) ** 2;
        }
      }
    }
  }
  return { third, fourth };
}

/** The means of products of two, three and four coordinates of rising indices. */
function momentsOf(rows: Float64Array, rank: number): Float64Array[] {
  const count = rows.length / rank;
  const sizes = [2, 3, 4].map((order) => {
    let size = 1;
    for (let k = 0; k < order; k++) size = size * (rank + k) / (k + 1);
    return size;
  });
  const [second, third, fourth] = sizes.map((size) => new Float64Array(size));
  for (let i = 0; i < rows.length; i += rank) {
    let at2 = 0, at3 = 0, at4 = 0;
    for (let a = 0; a < rank; a++) {
      for (let b = a; b < rank; b++) {
        const ab = rows[i + a] * rows[i + b];
        second[at2++] += ab;
        for (let c = b; c < rank; c++) {
          const abc = ab * rows[i + c];
          third[at3++] += abc;
          for (let e = c; e < rank; e++) fourth[at4++] += abc * rows[i + e];
        }
      }
    }
  }
  return [second, third, fourth].map((sums) => sums.map((v) => v / count));
}

/** In how many orders some rising indices can stand. */
function arrangements(indices: readonly number[]): number {
  let orders = 1, run = 0;
  indices.forEach((index, k) => {
    run = index === indices[k - 1] ? run + 1 : 1;
    orders = orders * (k + 1) / run;
  });
  return orders;
}
