/**
 * What all comparisons return: a table that shows itself, with a chart.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import type { ChartSpec } from "../plots/chart.ts";

/** A table, one row per thing compared, which shows itself at the end of a notebook cell. */
export type Comparison<Row> = readonly Row[] & {
  /** Draws it, with the cost on the horizontal axis where there is one. */
  chart(): ChartSpec;
};

/**
 * Rows as a comparison.
 *
 * @param rows The rows.
 * @param chart Draws them.
 * @param parts What is shown in their place. Default: the rows and the chart.
 * @returns The rows themselves, marked.
 */
export function comparison<Row extends object>(
  rows: Row[],
  chart: () => ChartSpec,
  parts: () => readonly unknown[] = () => [[...rows], chart()],
): Comparison<Row> {
  Object.defineProperty(rows, "chart", { value: chart });
  return showsItself(rows, parts) as Row[] & { chart(): ChartSpec };
}
