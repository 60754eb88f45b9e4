/**
 * Scatter charts of points in the plane.
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

/** One layer of points. */
export interface PointLayer {
  /** Its name, in the legend. */
  readonly label: string;
  /** The points, rows of two numbers. */
  readonly points: ArrayLike<number>;
  /** One weight ≥ 0 per point, drawn as area and opacity relative to the largest. Default: all alike. */
  readonly weights?: ArrayLike<number>;
  /** A CSS colour. Default: the next one of the palette; the first of several layers is grey. */
  readonly colour?: string;
  /** Area of a point in square pixels, of the heaviest one if there are weights. Default 24. */
  readonly size?: number;
}

/** Options of {@linkcode scatterSpec}. */
export interface ScatterOptions extends ChartOptions {
  /** Both axes show at least this. Default: what the points need. */
  readonly domain?: readonly [
    readonly [number, number],
    readonly [number, number],
  ];
  /** Whether axes are drawn. Default `true`. */
  readonly axes?: boolean;
}

const OPTIONS = {
  ...CHART_OPTIONS,
  domain: undefined,
  axes: true,
  width: 320,
  height: 320,
} satisfies OptionTable<ScatterOptions>;

/**
 * Layers of points in the plane, one unit equally long in both directions.
 *
 * @param layers The layers, the first one at the bottom.
 * @param options Title, size, what the axes show.
 * @returns A Vega-Lite chart.
 * @throws {TypeError} If there is no layer, or a layer holds no whole, positive number of points, or not one weight each.
 * @throws {RangeError} If a number is not finite or a weight negative.
 *
 * @example
 * ```ts
 * import { scatterSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { layer } = scatterSpec([{ label: "data", points: [0, 0, 1, 2] }]);
 * assert.equal((layer as unknown[]).length, 1);
 * ```
 */
export function scatterSpec(
  layers: readonly PointLayer[],
  options: ScatterOptions = {},
): ChartSpec {
  if (layers.length === 0) {
    throw new TypeError(
      "Cannot draw points: received 0 layers, wanted at least 1",
    );
  }
  const { title, width, height, axes } = readOptions("draw points", options, OPTIONS);
  const all = layers.map((layer) => planePoints(layer.points, layer.label));
  const domain = options.domain ?? squareDomain(all.flat(), width / height);
  const colours = layers.map(({ colour }, i) =>
    colour ??
      (i === 0 && layers.length > 1
        ? BACKGROUND_GREY
        : PALETTE[(layers.length > 1 ? i - 1 : i) % PALETTE.length])
  );
  const legend = {
    field: "layer",
    type: "nominal",
    scale: { domain: layers.map(({ label }) => label), range: colours },
    legend: layers.length > 1 ? CHART_LEGEND : null,
  };
  return {
    $schema: CHART_SCHEMA,
    ...(title && { title }),
    width,
    height,
    ...(!axes && { view: { stroke: null } }),
    // The heaviest point of each layer has that layer's size.
    ...(layers.filter(({ weights }) => weights).length > 1 && {
      resolve: { scale: { size: "independent" } },
    }),
    layer: layers.map((layer, i) => {
      const plane = { x: planeAxis("x", domain[0], axes), y: planeAxis("y", domain[1], axes) };
      return pointLayer(layer, all[i], plane, legend);
    }),
  };
}

function pointLayer(
  { label, weights, size = 24 }: PointLayer,
  points: readonly (readonly [number, number])[],
  plane: { readonly x: Json; readonly y: Json },
  color: Json,
): Json {
  const shares = weights && relativeWeights(weights, points.length, label);
  const values = points.map(([x, y], i) => ({
    x,
    y,
    layer: label,
    ...(shares && { w: shares[i] }),
  }));
  return {
    data: { values },
    mark: { type: "circle", size, opacity: 0.8, clip: true },
    encoding: {
      ...plane,
      color,
      ...(shares && weightChannels("w", size)),
    },
  };
}
