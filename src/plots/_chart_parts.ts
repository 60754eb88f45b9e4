/**
 * Parts that several charts are made of.
 *
 * @module
 */
import type { OptionTable } from "../base/_options.ts";
import type { ChartOptions, Json } from "./chart.ts";

/** The options that all charts share; the sizes differ. */
export const CHART_OPTIONS = {
  title: undefined,
  width: undefined,
  height: undefined,
} satisfies OptionTable<ChartOptions>;

/** Colours that stay apart for colour-blind eyes, in order of use. */
export const PALETTE: readonly string[] = [
  "#1f5ab4",
  "#d1622b",
  "#2a9d63",
  "#8e4fb5",
  "#b58a00",
  "#4d5561",
  "#c2407e",
  "#2f9fb3",
];

/** The legend of every chart: below it, names in full. */
export const CHART_LEGEND = {
  title: null,
  orient: "bottom",
  labelLimit: 0,
} as const;

/** The colour of what lies in the background. */
export const BACKGROUND_GREY = "#b4bac2";

/**
 * Numbers as they go into a chart: checked, and rounded to five digits, which no eye can tell.
 *
 * @param values The numbers.
 * @param name What they are, for the message.
 * @param positive Whether they go on a logarithmic axis.
 * @returns The rounded numbers.
 * @throws {RangeError} If one is not finite, or not positive where it must be.
 */
export function chartNumbers(
  values: ArrayLike<number>,
  name: string,
  positive: boolean = false,
): number[] {
  return Array.from(values, (v) => {
    if (!Number.isFinite(v) || (positive && v <= 0)) {
      throw new RangeError(
        `Cannot draw ${name}: a value is ${v}, wanted finite numbers${
          positive ? " > 0 on a logarithmic axis" : ""
        }`,
      );
    }
    return Number(v.toPrecision(5));
  });
}

/**
 * Area and opacity from a field of weights relative to the largest.
 *
 * @param field The field.
 * @param size The area of the heaviest point, in square pixels.
 * @returns The channels of a Vega-Lite encoding.
 */
export function weightChannels(
  field: string,
  size: number,
): { readonly [channel: string]: Json } {
  const scale = { domain: [0, 1] };
  return {
    size: {
      field,
      type: "quantitative",
      scale: { ...scale, range: [6, size] },
      legend: null,
    },
    opacity: {
      field,
      type: "quantitative",
      scale: { ...scale, range: [0.25, 0.95] },
      legend: null,
    },
  };
}

/**
 * An axis of the plane.
 *
 * @param field The field it shows.
 * @param domain Its ends.
 * @param labelled Whether it has ticks and labels. Default `true`.
 * @returns The channel of a Vega-Lite encoding.
 */
export function planeAxis(
  field: string,
  domain: readonly [number, number],
  labelled: boolean = true,
): Json {
  return {
    field,
    type: "quantitative",
    title: null,
    scale: { domain: [...domain], nice: false },
    axis: labelled ? { grid: false, tickCount: 5 } : null,
  };
}

/**
 * Points of the plane, checked and rounded.
 *
 * @param points Rows of two numbers.
 * @param label What they are, for the message.
 * @returns Pairs.
 * @throws {TypeError} If there is no whole, positive number of pairs.
 * @throws {RangeError} If a number is not finite.
 */
export function planePoints(
  points: ArrayLike<number>,
  label: string,
): [number, number][] {
  if (points.length === 0 || points.length % 2 !== 0) {
    throw new TypeError(
      `Cannot draw ${label}: received ${points.length} numbers, wanted at least one pair`,
    );
  }
  const numbers = chartNumbers(points, label);
  return Array.from(
    { length: numbers.length / 2 },
    (_, i) => [numbers[2 * i], numbers[2 * i + 1]],
  );
}

/**
 * Weights relative to the largest, rounded to a thousandth.
 *
 * @param weights Weights ≥ 0.
 * @param count How many there should be.
 * @param label What they belong to, for the message.
 * @returns Numbers from 0 to 1.
 * @throws {TypeError} If there are not `count` weights.
 * @throws {RangeError} If one is negative or not finite, or all are 0.
 */
export function relativeWeights(
  weights: ArrayLike<number>,
  count: number,
  label: string,
): number[] {
  if (weights.length !== count) {
    throw new TypeError(
      `Cannot draw ${label}: received ${weights.length} weights for ${count} points, wanted one each`,
    );
  }
  const numbers = Array.from(weights);
  const most = numbers.reduce((a, b) => Math.max(a, b), 0);
  if (!numbers.every((w) => w >= 0 && w < Infinity) || most === 0) {
    throw new RangeError(
      `Cannot draw ${label}: wanted finite weights >= 0, not all of them 0`,
    );
  }
  return numbers.map((w) => Math.round(w / most * 1000) / 1000);
}

/**
 * The smallest domain that shows all points with a margin and one unit equally long on both axes.
 *
 * @param points The points.
 * @param aspect Width over height of the plotting area.
 * @returns The ends of both axes.
 */
export function squareDomain(
  points: readonly (readonly [number, number])[],
  aspect: number,
): [[number, number], [number, number]] {
  const ends = ([0, 1] as const).map((axis) =>
    points.reduce(
      ([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])],
      [Infinity, -Infinity],
    )
  );
  const [width, height] = ends.map(([low, high]) => high - low);
  // Points that all coincide get a unit around them.
  const half = Math.max(width / aspect, height) * 0.55 || 0.5;
  const around = (
    [low, high]: readonly [number, number],
    reach: number,
  ): [number, number] => {
    const middle = (low + high) / 2;
    return [middle - reach, middle + reach].map((v) => Number(v.toPrecision(4))) as [
      number,
      number,
    ];
  };
  return [around(ends[0], half * aspect), around(ends[1], half)];
}
