import { checkPositive } from "../base/_checks.ts";
import { type OptionTable, type Read, readOptions } from "../base/_options.ts";

/** Options of {@linkcode adamStep}. */
export interface AdamOptions {
  /** Step size once warmed up, `η`. Default 1e-3. */
  readonly rate?: number;
  /** Steps over which the step size rises linearly. Default 0. */
  readonly warmUp?: number;
  /** How much of the running mean of the gradients stays, `β₁`. Default 0.9. */
  readonly beta1?: number;
  /** How much of the running mean of their squares stays, `β₂`. Default 0.999. */
  readonly beta2?: number;
  /** What keeps the division finite, `ε`. Default 1e-8. */
  readonly epsilon?: number;
  /** Items per step, which the half-life of the average is counted in. Default 128. */
  readonly batchSize?: number;
  /** Items after which an old weight counts half in the average, at most. Default 500,000. */
  readonly halfLife?: number;
  /** The half-life is at most this share of the items seen so far. Default 0.05. */
  readonly rampUp?: number;
}

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
