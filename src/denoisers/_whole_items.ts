import type { PosteriorFacts } from "../compute/posterior.ts";

/**
 * Facts that name an item by its place in the whole data set instead of its row in a part of it.
 *
 * @param facts The facts.
 * @param items The place of each row, see `Dataset.items`; nothing for a whole set.
 */
export function inWholeSet<F extends Partial<PosteriorFacts>>(
  facts: F,
  items: Uint32Array | undefined,
): F {
  return items && facts.topIndex
    ? { ...facts, topIndex: facts.topIndex.map((row) => items[row]) }
    : facts;
}
