/**
 * Charts as data: the type of a Vega-Lite specification, and its way into SVG.
 *
 * @module
 */

import type { Loader } from "vega";
import { received } from "../base/_kinds.ts";

/** Any value of JSON. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * A Vega-Lite chart, as plain JSON. The schema is that of version 5, which
 * notebook front ends can draw.
 */
export interface ChartSpec {
  /** The schema it follows. */
  readonly $schema: "https://vega.github.io/schema/vega-lite/v5.json";
  /** The rest of the specification. */
  readonly [key: string]: Json;
}

/**
 * The schema of every chart made here.
 *
 * @example
 * ```ts
 * import { lineSpec } from "@closedform/diffusion";
 * import { CHART_SCHEMA } from "./chart.ts";
 * import assert from "node:assert/strict";
 *
 * const chart = lineSpec([{ label: "a line", x: [0, 1], y: [0, 1] }]);
 * assert.equal(chart.$schema, CHART_SCHEMA);
 * ```
 */
export const CHART_SCHEMA: ChartSpec["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json";

/** What all charts share. */
export interface ChartOptions {
  /** A line above the chart. Default: none. */
  readonly title?: string;
  /** Width of the plotting area in pixels. */
  readonly width?: number;
  /** Height of the plotting area in pixels. */
  readonly height?: number;
}

/**
 * Draws a chart without a screen. Coordinates are rounded to a hundredth of a
 * pixel, and single points carry no text for screen readers: a chart of a
 * thousand points is a picture, and as such about half the size.
 *
 * @param spec The chart.
 * @returns An SVG document.
 * @throws {TypeError} If it is no Vega-Lite chart.
 * @throws {RangeError} If it links to something that is no web address, such as a program.
 *
 * @example
 * ```ts
 * import { chartSvg, lineSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const svg = await chartSvg(lineSpec([{ label: "y = x", x: [0, 1], y: [0, 1] }]));
 * assert.ok(svg.startsWith("<svg"));
 * ```
 */
export async function chartSvg(spec: ChartSpec): Promise<string> {
  // Loaded here, so that a program that draws nothing does not wait for them.
  const [vega, { compile }] = await Promise.all([
    import("vega"),
    import("vega-lite"),
  ]);
  const { spec: program } = compile(
    spec as unknown as Parameters<typeof compile>[0],
  );
  const { loader, refused } = checkedLoader(vega.loader());
  const view = new vega.View(vega.parse(program), { renderer: "none", loader });
  try {
    const svg = await view.toSVG();
    if (refused.length > 0) {
      throw new RangeError(
        `Cannot draw the chart: it links to ${received(refused[0])}, wanted a web address`,
      );
    }
    return lighter(svg);
  } finally {
    view.finalize();
  }
}

/** A loader that keeps the addresses it refuses: of a rejection, the renderer would die unheard. */
function checkedLoader(plain: Loader): { loader: Loader; refused: string[] } {
  const refused: string[] = [];
  const loader: Loader = {
    ...plain,
    sanitize: (address, options) =>
      plain.sanitize(address, options).catch(() => {
        refused.push(address);
        return { href: "" };
      }),
  };
  return { loader, refused };
}

/** Without the text of single points, and with paths and places rounded. */
function lighter(svg: string): string {
  const round = (digits: string) => String(Math.round(Number(digits) * 100) / 100);
  return svg
    .replace(
      / aria-label="[^"]*" role="graphics-symbol" aria-roledescription="[^"]*"/g,
      "",
    )
    .replace(
      / (?:d|transform)="[^"]*"/g,
      (attribute) => attribute.replace(/\d+\.\d{3,}(?:e-\d+)?/g, round),
    );
}
