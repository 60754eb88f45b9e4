/**
 * A run in which every sample goes its own way: an evaluator with operations on rows.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import { rowSpace } from "../states/row_space.ts";
import type { BlockTerm, RowSpace } from "../states/row_space.ts";
import { Evaluator } from "./_evaluator.ts";
import type { SamplerOptions } from "./sampler.ts";

/** One run of a sampler that works on rows; all states it makes are owned. */
export class RowEvaluator<X> extends Evaluator<X> {
  /** The operations on rows. */
  readonly rows: RowSpace<X>;

  constructor(denoiser: Denoiser<X>, options: SamplerOptions) {
    super(denoiser, options);
    this.rows = rowSpace(denoiser.space, denoiser.shape);
  }

  /** The rows of the given indices. */
  take(state: X, indices: readonly number[]): X {
    return this.own(this.rows.take(state, indices));
  }

  /** The block product of the terms. */
  mix(blocks: number, terms: readonly BlockTerm<X>[]): X {
    return this.own(this.rows.mix(blocks, terms));
  }

  /**
   * A state in which some rows are replaced by others. The old one is released.
   *
   * @param order Which row stands where: from 0 on the rows of `all`, then those of `others`.
   */
  replace(all: X, others: X, order: readonly number[]): X {
    const both = this.own(this.rows.concat([all, others]));
    const next = this.take(both, order);
    this.release(all, both);
    return next;
  }
}
