/**
 * The smallest of a stream of numbers, with where they came from.
 *
 * @module
 */

/** Keeps the `size` smallest pairs (value, index), ordered by value, then by index. */
export class NearestHeap {
  /** How many are kept at most. */
  readonly size: number;
  readonly #values: Float64Array;
  readonly #indices: Uint32Array;
  #count = 0;

  /**
   * Makes an empty heap.
   *
   * @param size How many to keep, at least 1.
   */
  constructor(size: number) {
    this.size = size;
    this.#values = new Float64Array(size);
    this.#indices = new Uint32Array(size);
  }

  /** A value that is at least this large is not kept, unless its index is lower. */
  get worst(): number {
    return this.#count < this.size ? Infinity : this.#values[0];
  }

  /** Offers a pair. */
  offer(value: number, index: number): void {
    if (this.#count < this.size) {
      this.#up(this.#count++, value, index);
    } else if (this.#after(0, value, index)) {
      this.#down(value, index);
    }
  }

  /** The pairs that were kept, the smallest first. */
  sorted(): { values: number[]; indices: number[] } {
    const order = Array.from({ length: this.#count }, (_, i) => i).sort((a, b) =>
      this.#values[a] - this.#values[b] || this.#indices[a] - this.#indices[b]
    );
    return {
      values: order.map((i) => this.#values[i]),
      indices: order.map((i) => this.#indices[i]),
    };
  }

  /** Whether the pair at a place comes after another one. */
  #after(at: number, value: number, index: number): boolean {
    return this.#values[at] > value || (this.#values[at] === value && this.#indices[at] > index);
  }

  #place(at: number, value: number, index: number): void {
    this.#values[at] = value;
    this.#indices[at] = index;
  }

  #up(at: number, value: number, index: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#after(parent, value, index)) break;
      this.#place(at, this.#values[parent], this.#indices[parent]);
      at = parent;
    }
    this.#place(at, value, index);
  }

  #down(value: number, index: number): void {
    let at = 0;
    for (let child = 1; child < this.size; child = 2 * at + 1) {
      const right = child + 1 < this.size &&
        this.#after(child + 1, this.#values[child], this.#indices[child]);
      if (right) child++;
      if (!this.#after(child, value, index)) break;
      this.#place(at, this.#values[child], this.#indices[child]);
      at = child;
    }
    this.#place(at, value, index);
  }
}
