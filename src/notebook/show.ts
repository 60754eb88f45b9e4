/**
 * One line shows anything in a Deno notebook: charts, pictures, data sets,
 * tensors of images, tables, text; outside a notebook it is printed.
 *
 * @example
 * ```ts
 * import { show } from "@closedform/diffusion";
 *
 * await show("The posterior mean is a *weighted* mean.");
 * await show([{ steps: 10, error: 0.1 }, { steps: 100, error: 0.01 }]);
 * ```
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { drawMarkedBy } from "../base/_display.ts";
import { bundlesOf, selfBundle } from "./_bundles.ts";
import type { Showable, ShowLayout } from "./_bundles.ts";
import type { TableRow } from "../plots/_table.ts";
import { kernelDisplay, print, SETTLE } from "../base/front_end.ts";
import type { Display } from "../base/front_end.ts";

export type { Showable, ShowLayout, TableRow };

/** Options of {@linkcode show}. */
export interface ShowOptions extends ShowLayout {
  /** A name for the place where it is shown, to update it later. */
  readonly id?: string;
  /** Replace what is shown under `id`. Default `false`. */
  readonly update?: boolean;
  /** Where to show it. Default: the notebook's front end, or the console where there is none. */
  readonly display?: Display;
}

const SHOW_OPTIONS = {
  shape: undefined,
  range: undefined,
  columns: undefined,
  scale: undefined,
  items: undefined,
  rowLabels: undefined,
  columnLabels: undefined,
  caption: undefined,
  id: undefined,
  update: undefined,
  display: undefined,
} satisfies OptionTable<ShowOptions>;

/**
 * Shows a thing in the notebook, or prints it where there is none.
 *
 * Charts are sent as Vega-Lite with an SVG picture for front ends that draw no
 * charts, and for the saved file; pictures, data sets and samples as PNG;
 * tables as HTML; strings as Markdown, or as SVG if they begin with `<svg`. All
 * have a form in plain text.
 *
 * @param thing What to show.
 * @param options Layout, and where.
 * @returns When the front end has it.
 * @throws {TypeError} If it is nothing that can be shown, or the shape of a sample is not known.
 * @throws {RangeError} If a number in it cannot be drawn.
 *
 * @example Every format of a bundle is explicit
 * ```ts
 * import { show } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const shown: unknown[] = [];
 * const display = (bundle: unknown) => Promise.resolve(void shown.push(bundle));
 * await show([{ sigma: 0.5, points: 12 }], { display });
 * assert.deepEqual(Object.keys(shown[0] as object), ["text/html", "text/plain"]);
 * ```
 */
export async function show(
  thing: Showable,
  options: ShowOptions = {},
): Promise<void> {
  const settings = readOptions("show this", options, SHOW_OPTIONS);
  const { id, update, display = kernelDisplay() ?? print } = settings;
  for (const [suffix, bundle] of await bundlesOf(thing, settings)) {
    await display(bundle, {
      raw: true,
      ...(id !== undefined && { display_id: id + suffix }),
      ...(update && { update }),
    });
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE));
}

// Tensors, data sets, runs, denoisers, devices, reports and comparisons show themselves at the end of a cell.
drawMarkedBy(selfBundle);
