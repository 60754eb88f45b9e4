/**
 * Line charts.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { received } from "../base/_kinds.ts";
import { CHART_LEGEND, CHART_OPTIONS, chartNumbers, PALETTE } from "./_chart_parts.ts";
import { CHART_SCHEMA } from "./chart.ts";
import type { ChartOptions, ChartSpec, Json } from "./chart.ts";

/** One line of a chart. */
export interface Series {
  /** Its name, in the legend. */
  readonly label: string;
  /** Abscissas. */
  readonly x: ArrayLike<number>;
  /** Ordinates, as many. */
  readonly y: ArrayLike<number>;
  /** Draw it dashed, for limits and bounds. Default `false`. */
  readonly dashed?: boolean;
}

/** Options of {@linkcode lineSpec}. */
export interface LineOptions extends ChartOptions {
  /** Title of the horizontal axis. */
  readonly xTitle?: string;
  /** Title of the vertical axis. */
  readonly yTitle?: string;
  /** A logarithmic horizontal axis. Default `false`. */
  readonly xLog?: boolean;
  /** A logarithmic vertical axis. Default `false`. */
  readonly yLog?: boolean;
  /** Draw large abscissas on the left, as σ falls along a trajectory. Default `false`. */
  readonly xReversed?: boolean;
}

const OPTIONS = {
  ...CHART_OPTIONS,
  xTitle: undefined,
  yTitle: undefined,
  xLog: false,
  yLog: false,
  xReversed: false,
  width: 420,
  height: 260,
} satisfies OptionTable<LineOptions>;

/**
 * Lines with a mark at each value; dashed lines have no marks.
 *
 * @param series The lines.
 * @param options Titles, size, logarithmic axes.
 * @returns A Vega-Lite chart.
 * @throws {TypeError} If there is no line, or a line has no value or not one ordinate per abscissa.
 * @throws {RangeError} If a number is not finite, or not positive on a logarithmic axis.
 *
 * @example
 * ```ts
 * import { lineSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const spec = lineSpec([{ label: "error", x: [10, 100], y: [0.1, 0.01] }], { xLog: true, yLog: true });
 * assert.equal(spec.$schema, "https://vega.github.io/schema/vega-lite/v5.json");
 * ```
 */
export function lineSpec(
  series: readonly Series[],
  options: LineOptions = {},
): ChartSpec {
  checkSeries(series);
  const settings = readOptions("draw lines", options, OPTIONS);
  const { title, width, height, xTitle, yTitle, xLog, yLog, xReversed } = settings;
  const rows = ({ label, x, y }: Series) => {
    const ys = chartNumbers(y, `the line ${label}`, yLog);
    return chartNumbers(x, `the line ${label}`, xLog).map((v, i) => ({
      x: v,
      y: ys[i],
      line: label,
    }));
  };
  const labels = series.map(({ label }) => label);
  const encoding = {
    x: axis("x", xTitle, xLog, xReversed),
    y: axis("y", yTitle, yLog, false),
    color: {
      field: "line",
      type: "nominal",
      scale: { domain: labels, range: labels.map(colour) },
      legend: series.length > 1 ? CHART_LEGEND : null,
    },
  };
  const layers = [false, true].flatMap((wanted) => {
    const values = series.filter(({ dashed = false }) => dashed === wanted)
      .flatMap(rows);
    const mark: Json = wanted
      ? { type: "line", strokeDash: [5, 4] }
      : { type: "line", point: { size: 36 } };
    return values.length === 0 ? [] : [{ data: { values }, mark, encoding }];
  });
  return {
    $schema: CHART_SCHEMA,
    ...(title && { title }),
    width,
    height,
    layer: layers,
  };
}

function colour(_: string, index: number): string {
  return PALETTE[index % PALETTE.length];
}

function axis(
  field: string,
  title: string | undefined,
  log: boolean,
  reversed: boolean,
): Json {
  return {
    field,
    type: "quantitative",
    title: title ?? field,
    scale: {
      ...(log ? { type: "log" } : { type: "linear", zero: false }),
      ...(reversed && { reverse: true }),
    },
    axis: {
      gridColor: "#e9ecf0",
      ...(log && { format: "~g", labelOverlap: true }),
    },
  };
}

function checkSeries(series: readonly Series[]): void {
  if (!Array.isArray(series) || series.length === 0) {
    throw new TypeError(
      `Cannot draw lines: series is ${received(series)}, wanted an array of at least 1`,
    );
  }
  for (const { label, x, y } of series) {
    if (typeof label !== "string") {
      throw new TypeError(`Cannot draw lines: a label is ${received(label)}, wanted text`);
    }
    if (x.length === 0 || x.length !== y.length) {
      throw new TypeError(
        `Cannot draw the line ${label}: received ${x.length} abscissas and ${y.length} ordinates, wanted equally many and at least 1`,
      );
    }
  }
}
