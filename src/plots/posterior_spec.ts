/**
 * Posteriors over points of the plane, one panel per noise level.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import {
  BACKGROUND_GREY,
  CHART_LEGEND,
  CHART_OPTIONS,
  PALETTE,
  planeAxis,
  planePoints,
  relativeWeights,
  squareDomain,
  weightChannels,
} from "./_chart_parts.ts";
import { CHART_SCHEMA } from "./chart.ts";
import type { ChartOptions, ChartSpec, Json } from "./chart.ts";

/** One panel: the posterior of one query at one noise level. */
export interface PosteriorPanel {
  /** The noise level `σ`. */
  readonly sigma: number;
  /** The query `x`, two numbers. */
  readonly query: ArrayLike<number>;
  /** Its denoised point `D(x, σ)`, two numbers. */
  readonly denoised: ArrayLike<number>;
  /** The posterior weight of each data point. */
  readonly weights: ArrayLike<number>;
  /** A line below the panel's title, such as the effective sample size. Default: none. */
  readonly note?: string;
}

/** Options of {@linkcode posteriorSpec}: the size is that of one panel, 150 × 150 by default. */
export interface PosteriorOptions extends ChartOptions {
  /** Panels per row. Default: all in one row. */
  readonly columns?: number;
}

/** Points whose weight is below this share of the largest are drawn grey. */
const VISIBLE = 0.002;

const OPTIONS = {
  ...CHART_OPTIONS,
  columns: undefined,
  width: 150,
  height: 150,
} satisfies OptionTable<PosteriorOptions>;

/**
 * Panels side by side: data points as circles whose area is their posterior
 * weight, relative to the largest of the panel, and grey where it is below 0.2 % of
 * that; the query as a plus, its denoised point as a diamond, and the line between them.
 *
 * All panels show the neighbourhood of the data. A query outside of it is drawn
 * at the edge, in its direction from the middle.
 *
 * @param data The data points, rows of two numbers.
 * @param panels One per noise level.
 * @param options Title, size of a panel, panels per row.
 * @returns A Vega-Lite chart.
 * @throws {TypeError} If there are no panels, or points or weights are not as many as they should be.
 * @throws {RangeError} If a number is not finite or a weight negative.
 *
 * @example
 * ```ts
 * import { posteriorSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const spec = posteriorSpec([0, 0, 1, 1], [
 *   { sigma: 1, query: [0, 1], denoised: [0.5, 0.5], weights: [0.5, 0.5] },
 * ]);
 * assert.equal((spec.concat as unknown[]).length, 1);
 * ```
 */
export function posteriorSpec(
  data: ArrayLike<number>,
  panels: readonly PosteriorPanel[],
  options: PosteriorOptions = {},
): ChartSpec {
  const points = planePoints(data, "data");
  if (panels.length === 0) {
    throw new TypeError(
      "Cannot draw posteriors: received 0 panels, wanted at least 1",
    );
  }
  const { title, width, height, columns = panels.length } = readOptions(
    "draw posteriors",
    options,
    OPTIONS,
  );
  const domain = squareDomain(points, width / height);
  // One table for all panels: a row per point, a column of weights per panel.
  const shares = panels.map(({ weights, sigma }) =>
    relativeWeights(weights, points.length, `the posterior at σ = ${sigma}`)
  );
  const table = points.map(([x, y], i) => ({
    x,
    y,
    ...Object.fromEntries(shares.map((w, k) => [`w${k}`, w[i]])),
  }));
  return {
    $schema: CHART_SCHEMA,
    ...(title && { title }),
    columns,
    spacing: 14,
    datasets: { points: table },
    // One legend for all panels.
    resolve: { scale: { shape: "shared" } },
    concat: panels.map((panel, k) => ({
      title: {
        text: `σ = ${Number(panel.sigma.toPrecision(3))}`,
        ...(panel.note && { subtitle: panel.note }),
      },
      width,
      height,
      layer: panelLayers(panel, `w${k}`, domain, k % columns === 0),
    })),
  };
}

type Domain = readonly [readonly [number, number], readonly [number, number]];

function panelLayers(
  { query, denoised, sigma }: PosteriorPanel,
  field: string,
  domain: Domain,
  first: boolean,
): Json {
  const axes = {
    x: planeAxis("x", domain[0]),
    // The vertical axis of the first panel of a row is that of the whole row.
    y: planeAxis("y", domain[1], first),
  };
  const [from] = planePoints(query, `the query at σ = ${sigma}`);
  const [to] = planePoints(denoised, `the denoised point at σ = ${sigma}`);
  const shown = insideOf(domain, from);
  const point = (name: string, [x, y]: readonly [number, number]) => ({
    x,
    y,
    name,
  });
  const ends = [point("query x", shown), point("denoised D(x, σ)", to)];
  return [
    {
      data: { name: "points" },
      transform: [{ filter: `datum.${field} < ${VISIBLE}` }],
      mark: { type: "circle", size: 6, color: BACKGROUND_GREY, opacity: 0.7 },
      encoding: axes,
    },
    {
      data: { name: "points" },
      transform: [{ filter: `datum.${field} >= ${VISIBLE}` }],
      mark: { type: "circle", color: PALETTE[0] },
      encoding: { ...axes, ...weightChannels(field, 60) },
    },
    {
      data: { values: ends },
      mark: { type: "line", color: PALETTE[1], strokeWidth: 1.2 },
      encoding: axes,
    },
    {
      data: { values: ends },
      mark: {
        type: "point",
        filled: false,
        strokeWidth: 1.5,
        size: 130,
        opacity: 1,
        color: PALETTE[1],
      },
      encoding: {
        ...axes,
        shape: {
          field: "name",
          type: "nominal",
          scale: {
            domain: ends.map(({ name }) => name),
            range: ["cross", "diamond"],
          },
          legend: CHART_LEGEND,
        },
      },
    },
  ];
}

/** The point itself if it is within the domain, else where its ray from the middle leaves it. */
function insideOf(
  domain: Domain,
  point: readonly [number, number],
): [number, number] {
  const middle = domain.map(([low, high]) => (low + high) / 2);
  const half = domain.map(([low, high]) => (high - low) / 2);
  const reach = Math.max(
    ...point.map((v, axis) => Math.abs(v - middle[axis]) / half[axis]),
  );
  const shrink = Math.min(1, 0.96 / reach);
  return point.map((v, axis) =>
    Number((middle[axis] + (v - middle[axis]) * shrink).toPrecision(5))
  ) as [number, number];
}
