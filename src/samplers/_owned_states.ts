/**
 * The states that a run has made and not yet released.
 *
 * @module
 */
import type { LinearSpace } from "../states/linear_space.ts";

/** Keeps track of states, so that an error, an abort or an early return leaves none behind. */
export class OwnedStates<X> {
  readonly #states = new Set<X>();

  constructor(readonly space: LinearSpace<X>) {}

  /** Takes a new state into care, and returns it. */
  own(state: X): X {
    this.#states.add(state);
    return state;
  }

  /** Releases states; those that are not owned, or not any more, are left alone. */
  release(...states: readonly (X | undefined)[]): void {
    for (const state of states) {
      if (state !== undefined && this.#states.delete(state)) this.space.dispose(state);
    }
  }

  /** Releases all of them. */
  releaseAll(): void {
    this.release(...this.#states);
  }
}
