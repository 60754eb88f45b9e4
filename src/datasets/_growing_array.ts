/** Numbers of which it is not known beforehand how many come, in no more than three times the bytes they take. */
export class GrowingArray<T extends Uint32Array | Float64Array> {
  /** How many there are. */
  length = 0;
  #numbers: T;
  readonly #make: (length: number) => T;

  /** @param make Makes an array of so many zeros. */
  constructor(make: (length: number) => T) {
    this.#make = make;
    this.#numbers = make(64);
  }

  push(number: number): void {
    if (this.length === this.#numbers.length) {
      const wider = this.#make(2 * this.length);
      wider.set(this.#numbers);
      this.#numbers = wider;
    }
    this.#numbers[this.length++] = number;
  }

  /** The numbers up to now, in a buffer of their own. */
  get values(): T {
    return this.#numbers.slice(0, this.length) as T;
  }
}
