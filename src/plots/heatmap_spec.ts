/**
 * Heat maps: a number for each pair of settings.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { CHART_OPTIONS, chartNumbers } from "./_chart_parts.ts";
import { CHART_SCHEMA } from "./chart.ts";
import type { ChartOptions, ChartSpec } from "./chart.ts";

/** Options of {@linkcode heatmapSpec}. */
export interface HeatmapOptions extends ChartOptions {
  /** Title of the horizontal axis. */
  readonly xTitle?: string;
  /** Title of the vertical axis. */
  readonly yTitle?: string;
  /** What the numbers are. */
  readonly valueTitle?: string;
  /** How numbers are written in their cells, as a d3 format. Default `".2~g"`. */
  readonly format?: string;
}

const OPTIONS = {
  ...CHART_OPTIONS,
  xTitle: undefined,
  yTitle: undefined,
  valueTitle: undefined,
  format: ".2~g",
} satisfies OptionTable<HeatmapOptions>;

/**
 * A table of numbers as colours, dark for large ones, with the numbers written in.
 *
 * @param columns The settings along the horizontal axis.
 * @param rows The settings along the vertical axis, the first one at the top.
 * @param values One number per cell, row by row.
 * @param options Titles, size, format of the numbers.
 * @returns A Vega-Lite chart.
 * @throws {TypeError} If there is not one number per cell, or no cell.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { heatmapSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const spec = heatmapSpec([5, 15], [0, 5], [0.1, 0.2, 0.3, 0.4], { xTitle: "K", yTitle: "L" });
 * assert.equal((spec.layer as unknown[]).length, 2);
 * ```
 */
export function heatmapSpec(
  columns: readonly (number | string)[],
  rows: readonly (number | string)[],
  values: ArrayLike<number>,
  options: HeatmapOptions = {},
): ChartSpec {
  if (values.length === 0 || values.length !== columns.length * rows.length) {
    throw new TypeError(
      `Cannot draw a heat map: received ${values.length} numbers for ${columns.length} columns and ${rows.length} rows, wanted one per cell`,
    );
  }
  const numbers = chartNumbers(values, "the heat map");
  const settings = readOptions("draw a heat map", options, OPTIONS);
  const { title, width = 60 * columns.length, height = 32 * rows.length } = settings;
  const { xTitle, yTitle, valueTitle, format } = settings;
  const middle = (Math.min(...numbers) + Math.max(...numbers)) / 2;
  const axis = (field: string, name: string | undefined, order: readonly (number | string)[]) => ({
    field,
    type: "ordinal",
    title: name ?? null,
    sort: order.map(String),
    axis: { labelAngle: 0 },
  });
  return {
    $schema: CHART_SCHEMA,
    ...(title && { title }),
    width,
    height,
    data: {
      values: numbers.map((value, at) => ({
        x: String(columns[at % columns.length]),
        y: String(rows[Math.floor(at / columns.length)]),
        value,
      })),
    },
    encoding: { x: axis("x", xTitle, columns), y: axis("y", yTitle, rows) },
    layer: [
      {
        mark: "rect",
        encoding: {
          color: {
            field: "value",
            type: "quantitative",
            scale: { scheme: "blues" },
            legend: valueTitle ? { title: valueTitle } : null,
          },
        },
      },
      {
        mark: { type: "text", fontSize: 11 },
        encoding: {
          text: { field: "value", type: "quantitative", format },
          color: {
            condition: { test: `datum.value > ${middle}`, value: "white" },
            value: "#22262b",
          },
        },
      },
    ],
  };
}
