/**
 * What chooses the items of a golden subset: a schedule, or a certificate.
 *
 * @module
 */
import type { PosteriorFacts } from "../../compute/posterior.ts";
import type { Subset } from "../../compute/subset.ts";
import type { CertifiedSearch } from "./certified_search.ts";
import type { OffLogits } from "./rounded_mean.ts";
import type { QueryBatch } from "./query_batch.ts";
import type { ScheduledSearch } from "./scheduled_search.ts";

/** What was chosen for one query. */
export interface Choice {
  /** The items, with their logits; undefined for all items. */
  readonly subset?: Subset & OffLogits;
  /** How far, at least, the largest logit left out is below the largest of all; NaN if nothing is known. */
  readonly gap: number;
  /** Share of the posterior mass that the items hold, at least; NaN if nothing is known. */
  readonly captured: number;
  /** Bound on the error that leaving out the others makes, root mean square per coordinate; infinite if there is none. */
  readonly bound: number;
}

/** Chooses items for queries. */
export interface Chooser {
  /** How, in a few words. */
  readonly label: string;
  /** Whether it draws random items. */
  readonly draws?: boolean;
  /** The error that a posterior mean may have, rounding included; none if nothing is promised. */
  readonly tolerance?: number;
  /** Chooses the items of a batch. */
  choose(batch: QueryBatch, signal?: AbortSignal): Promise<Choice[]>;
  /** Is told what the posterior over the chosen items was like. */
  tell?(batch: QueryBatch, facts: PosteriorFacts): void;
}

/**
 * Items by a schedule.
 *
 * @param search Where they come from.
 * @param label How, in a few words.
 * @param unit The error per share of the posterior mass left out; infinite where there is no bound.
 * @returns The chooser.
 */
export function scheduledChooser(search: ScheduledSearch, label: string, unit: number): Chooser {
  return {
    label,
    draws: search.draws,
    async choose(batch, signal) {
      const found = await search.find(batch, signal);
      return found.map((
        { rows, logWeights, logits, slack, discarded, estimate = discarded, gap },
      ) => ({
        subset: { rows, logits, slack, ...(logWeights && { logWeights }) },
        gap,
        captured: 1 - (Number.isNaN(discarded) ? estimate : discarded),
        bound: Number.isNaN(discarded) || unit === Infinity ? Infinity : discarded * unit,
      }));
    },
  };
}

/** All items: nothing is left out. */
export const EVERYTHING: Choice = { gap: Infinity, captured: 1, bound: 0 };

/** The share of a tolerance that leaving out items may use up; the rest is for rounding. */
const TRUNCATION = 7 / 8;

/**
 * The fewest items that are proven to be enough.
 *
 * @param search Where they come from.
 * @param tolerance The error that is allowed, rounding included.
 * @param unit The error per share of the posterior mass left out.
 * @param least The rounding that no arithmetic avoids; below the tolerance.
 * @returns The chooser.
 */
export function certifiedChooser(
  search: CertifiedSearch,
  tolerance: number,
  unit: number,
  least: number,
): Chooser {
  const most = Math.min(TRUNCATION * (tolerance - least) / unit, MOST);
  const queriesOf = ({ values, sigmas, samples }: QueryBatch) => {
    const d = values.length / sigmas.length;
    return Array.from(sigmas, (sigma, q) => ({
      values: values.subarray(q * d, (q + 1) * d),
      sigma,
      sample: samples[q],
      most,
    }));
  };
  return {
    label: "certified",
    tolerance,
    async choose(batch, signal) {
      const found = await search.find(queriesOf(batch), { run: batch.run, signal });
      return found.map((subset) =>
        subset
          ? {
            subset,
            gap: subset.gap,
            captured: 1 - subset.discarded,
            bound: subset.discarded * unit,
          }
          : EVERYTHING
      );
    },
    tell(batch, facts) {
      queriesOf(batch).forEach((query, q) =>
        search.tell(query, facts.effectiveSampleSize[q], batch.run)
      );
    },
  };
}

// A share must be below 1; data that are all in one place have no error at all.
const MOST = 1 - 2 ** -20;
