/**
 * Charts of vector fields in the plane.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import {
  BACKGROUND_GREY,
  CHART_OPTIONS,
  PALETTE,
  planeAxis,
  planePoints,
  squareDomain,
} from "./_chart_parts.ts";
import { CHART_SCHEMA } from "./chart.ts";
import type { ChartOptions, ChartSpec } from "./chart.ts";

/** Options of {@linkcode fieldSpec}. */
export interface FieldOptions extends ChartOptions {
  /** Points that are drawn as well, rows of two numbers, in grey. Default: none. */
  readonly points?: ArrayLike<number>;
  /** Length of the longest arrow, in units of the plane. Default: as long as the vectors are. */
  readonly longest?: number;
}

const OPTIONS = {
  ...CHART_OPTIONS,
  points: undefined,
  longest: undefined,
  width: 240,
  height: 240,
} satisfies OptionTable<FieldOptions>;

/**
 * A vector field: a line from each place along its vector, with a dot where it begins.
 *
 * @param places Where the vectors are, rows of two numbers.
 * @param vectors The vectors, as many rows of two numbers.
 * @param options Title, size, scale, points in the background.
 * @returns A Vega-Lite chart.
 * @throws {TypeError} If there is no whole, positive number of places, or not one vector each.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { fieldSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { layer } = fieldSpec([0, 0, 1, 0], [1, 0, -1, 0], { longest: 0.4, points: [0.5, 0] });
 * assert.equal((layer as unknown[]).length, 3);
 * ```
 */
export function fieldSpec(
  places: ArrayLike<number>,
  vectors: ArrayLike<number>,
  options: FieldOptions = {},
): ChartSpec {
  const from = planePoints(places, "the field"), along = planePoints(vectors, "the vectors");
  if (from.length !== along.length) {
    throw new TypeError(
      `Cannot draw the field: received ${along.length} vectors for ${from.length} places, wanted one each`,
    );
  }
  const { title, width, height, points, longest } = readOptions("draw the field", options, OPTIONS);
  const most = along.reduce((length, [x, y]) => Math.max(length, Math.hypot(x, y)), 0);
  const scale = longest === undefined || most === 0 ? 1 : longest / most;
  const shown = points ? planePoints(points, "the points") : [];
  const round = (v: number) => Number(v.toPrecision(5));
  const values = from.map(([x, y], i) => ({
    x,
    y,
    x2: round(x + scale * along[i][0]),
    y2: round(y + scale * along[i][1]),
  }));
  const [xDomain, yDomain] = squareDomain([...from, ...shown], width / height);
  const plane = { x: planeAxis("x", xDomain), y: planeAxis("y", yDomain) };
  return {
    $schema: CHART_SCHEMA,
    ...(title && { title }),
    width,
    height,
    layer: [
      ...(shown.length
        ? [{
          data: { values: shown.map(([x, y]) => ({ x, y })) },
          mark: { type: "circle", size: 40, color: BACKGROUND_GREY, opacity: 1, clip: true },
          encoding: plane,
        }]
        : []),
      {
        data: { values },
        mark: { type: "rule", color: PALETTE[0], strokeWidth: 1.2, clip: true },
        encoding: { ...plane, x2: { field: "x2" }, y2: { field: "y2" } },
      },
      {
        data: { values },
        mark: { type: "circle", size: 8, color: PALETTE[0], opacity: 1, clip: true },
        encoding: plane,
      },
    ],
  };
}
