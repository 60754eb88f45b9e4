import { checkPositive } from "../base/_checks.ts";
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";
import type { AdamOptions } from "./adam.ts";

/** The options of Adam, with their defaults. */
export const ADAM_OPTIONS = {
  rate: 1e-3,
  warmUp: 0,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  batchSize: 128,
  halfLife: 500_000,
  rampUp: 0.05,
} satisfies OptionTable<AdamOptions>;

/**
 * The options with their defaults.
 *
 * @throws {RangeError} If one is out of range.
 */
export function checkAdam(
  options: AdamOptions,
): Read<AdamOptions, typeof ADAM_OPTIONS> {
  const action = "optimise";
  const settings = readOptions(action, options, ADAM_OPTIONS);
  const { rate, warmUp, beta1, beta2, epsilon, batchSize, halfLife, rampUp } = settings;
  for (const [name, value] of Object.entries({ rate, epsilon, batchSize, halfLife, rampUp })) {
    checkPositive(action, name, value);
  }
  for (const [name, value] of Object.entries({ beta1, beta2 })) {
    if (!(value >= 0 && value < 1)) {
      throw new RangeError(
        `Cannot ${action}: ${name} is ${value}, wanted a number from 0 to below 1`,
      );
    }
  }
  if (!(warmUp >= 0 && warmUp < Infinity)) {
    throw new RangeError(`Cannot ${action}: warmUp is ${warmUp}, wanted a number >= 0`);
  }
  return settings;
}
