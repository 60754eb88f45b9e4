/**
 * Where the products of samples with the rows are kept between calls, on the CPU device.
 *
 * @module
 */
import type { Tilts } from "../tilted.ts";

/** A place in memory for the products of each sample at hand. */
export class TiltSlots {
  #of: Tilts | undefined;
  readonly #slots = new Map<number, number>();

  /** The number of places that have been handed out. */
  get size(): number {
    return this.#slots.size;
  }

  /**
   * Gives a place to each sample. Samples that have one keep it; others take the places of samples that are
   * not among these, and new places only when there are none left.
   *
   * @param tilts Whose products they are. Other ones make all places free.
   * @param samples Sample indices; one may come several times.
   * @returns The samples whose products are missing in their places.
   */
  assign(tilts: Tilts, samples: ArrayLike<number>): number[] {
    if (this.#of !== tilts) this.clear();
    this.#of = tilts;
    const wanted = new Set(Array.from(samples));
    const spare = [...this.#slots].filter(([sample]) => !wanted.has(sample));
    const missing = [...wanted].filter((sample) => !this.#slots.has(sample));
    for (const sample of missing) {
      const old = spare.pop();
      if (old) this.#slots.delete(old[0]);
      this.#slots.set(sample, old?.[1] ?? this.#slots.size);
    }
    return missing;
  }

  /** The place of a sample that was given one. */
  of(sample: number): number {
    return this.#slots.get(sample)!;
  }

  /** Forgets all products. */
  clear(): void {
    this.#of = undefined;
    this.#slots.clear();
  }
}
