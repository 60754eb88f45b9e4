/**
 * Several charts as one.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { CHART_SCHEMA } from "./chart.ts";
import type { ChartSpec, Json } from "./chart.ts";

/** Options of {@linkcode panelsSpec}. */
export interface PanelsOptions {
  /** A line above all of them. Default: none. */
  readonly title?: string;
  /** Charts per row. Default: all in one row. */
  readonly columns?: number;
  /** One legend for all charts, which then must have the same layers in the same colours. Default `false`. */
  readonly oneLegend?: boolean;
}

const OPTIONS = { title: undefined, columns: undefined, oneLegend: false } satisfies OptionTable<
  PanelsOptions
>;

/**
 * Charts side by side, each with its own title and axes.
 *
 * @param charts The charts, row by row.
 * @param options Title, charts per row, whether they share a legend.
 * @returns A Vega-Lite chart.
 * @throws {TypeError} If there is no chart.
 * @throws {RangeError} If the number of columns is no whole number from 1.
 *
 * @example
 * ```ts
 * import { panelsSpec, scatterSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const charts = [1, 2].map((n) => scatterSpec([{ label: "data", points: [n, n] }]));
 * assert.equal((panelsSpec(charts).concat as unknown[]).length, 2);
 * ```
 */
export function panelsSpec(
  charts: readonly ChartSpec[],
  options: PanelsOptions = {},
): ChartSpec {
  const { title, columns = charts.length, oneLegend } = readOptions(
    "draw panels",
    options,
    OPTIONS,
  );
  if (charts.length === 0) {
    throw new TypeError("Cannot draw panels: received 0 charts, wanted at least 1");
  }
  if (!Number.isInteger(columns) || columns < 1) {
    throw new RangeError(
      `Cannot draw panels: columns is ${columns}, wanted a whole number >= 1`,
    );
  }
  return {
    $schema: CHART_SCHEMA,
    ...(title && { title }),
    columns,
    spacing: 14,
    resolve: { scale: { color: oneLegend ? "shared" : "independent" } },
    concat: charts.map(withoutSchema),
  };
}

/** A chart as a part of another: only the whole names its schema. */
function withoutSchema(chart: ChartSpec): Json {
  return Object.fromEntries(Object.entries(chart).filter(([key]) => key !== "$schema"));
}
