/**
 * A data set without its copies, in an order that does not depend on how it was stored.
 *
 * @module
 */
import type { Dataset } from "../datasets/dataset.ts";

/**
 * The items that differ, in the order of their numbers: the first number decides, then the second, and so on.
 *
 * Neither copies nor the order of the items change it, and it is the same for data that were moved, or scaled by a positive number.
 *
 * @param dataset The data.
 * @returns Each item once.
 * @throws {RangeError} If a number is not finite: such items have no order.
 */
export function distinctItems(dataset: Dataset): Dataset {
  const { data, dimension: d, count } = dataset;
  if (!(data instanceof Uint8Array)) {
    const bad = data.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot compare items: item ${Math.floor(bad / d)} of ${dataset.name} holds ${
          data[bad]
        }, wanted finite numbers`,
      );
    }
  }
  const compare = (i: number, j: number) => {
    for (let a = i * d, b = j * d, c = 0; c < d; c++, a++, b++) {
      if (data[a] !== data[b]) return data[a] - data[b];
    }
    return 0;
  };
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort(compare);
  return dataset.subset(order.filter((i, at) => at === 0 || compare(order[at - 1], i) !== 0));
}
