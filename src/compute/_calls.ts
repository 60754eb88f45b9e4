/**
 * Calls of a store that are under way: some take several turns, and must find the same rows in all of them.
 *
 * @module
 */
import { DeviceError } from "../base/errors.ts";

/** Counts the calls of a store. */
export class Calls {
  #open = 0;

  /** Begins a call, which ends with its scope: `using _call = calls.begin()`. */
  begin(): Disposable {
    this.#open++;
    return { [Symbol.dispose]: () => void this.#open-- };
  }

  /**
   * Refuses to replace the rows meanwhile.
   *
   * @throws {DeviceError} If a call is under way.
   */
  checkNone(): void {
    if (this.#open === 0) return;
    throw new DeviceError(
      `Cannot replace the data: ${this.#open} calls are under way, wanted none`,
    );
  }
}
