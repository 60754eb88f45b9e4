/**
 * Charts of point clouds in space.
 *
 * @module
 */
import { checkOptionNames, optionsFor, type OptionTable } from "../base/_options.ts";
import { CHART_OPTIONS } from "./_chart_parts.ts";
import type { ChartSpec } from "./chart.ts";
import { projection, VIEW_OPTIONS } from "./projection.ts";
import type { SpaceView } from "./projection.ts";
import { scatterSpec } from "./scatter_spec.ts";
import type { PointLayer, ScatterOptions } from "./scatter_spec.ts";

/** Points in space: rows of three numbers, nearer ones drawn larger and darker. */
export type CloudLayer = Omit<PointLayer, "weights">;

/** Options of {@linkcode cloudSpec}; `domain` is that of the projected plane. */
export interface CloudOptions extends SpaceView, Omit<ScatterOptions, "axes"> {}

const SCATTER_OPTIONS = { ...CHART_OPTIONS, domain: undefined };
const OPTIONS = { ...VIEW_OPTIONS, ...SCATTER_OPTIONS } satisfies OptionTable<CloudOptions>;

/**
 * Layers of points in space, in parallel projection: nearer points are drawn over farther ones,
 * larger and darker.
 *
 * @param layers The layers, the first one at the bottom.
 * @param options From where they are seen; title, size, what part of the plane is shown.
 * @returns A Vega-Lite chart without axes.
 * @throws {TypeError} If there is no layer, or a layer holds no whole, positive number of points.
 * @throws {RangeError} If a number is not finite.
 *
 * @example
 * ```ts
 * import { cloudSpec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const { layer } = cloudSpec([{ label: "corners", points: [0, 0, 0, 1, 1, 1] }]);
 * assert.equal((layer as unknown[]).length, 1);
 * ```
 */
export function cloudSpec(
  layers: readonly CloudLayer[],
  options: CloudOptions = {},
): ChartSpec {
  checkOptionNames("draw a cloud", options, OPTIONS);
  const project = projection(optionsFor(VIEW_OPTIONS, options));
  const clouds = layers.map(({ label, points }) => projected(points, label, project));
  const depths = clouds.flatMap((cloud) => cloud.map(([, , near]) => near));
  const [far, near] = depths.reduce(
    ([low, high], depth) => [Math.min(low, depth), Math.max(high, depth)],
    [Infinity, -Infinity],
  );
  return scatterSpec(
    layers.map((layer, i) => ({
      ...layer,
      points: clouds[i].flatMap(([right, up]) => [right, up]),
      // Points that are all equally near are all in front.
      weights: clouds[i].map(([, , depth]) => near > far ? (depth - far) / (near - far) : 1),
    })),
    { ...optionsFor(SCATTER_OPTIONS, options), axes: false },
  );
}

/** Rows of how far right, up and near, the farthest first. */
function projected(
  points: ArrayLike<number>,
  label: string,
  project: ReturnType<typeof projection>,
): [number, number, number][] {
  if (points.length === 0 || points.length % 3 !== 0) {
    throw new TypeError(
      `Cannot draw ${label}: received ${points.length} numbers, wanted at least one row of three`,
    );
  }
  return Array.from(
    { length: points.length / 3 },
    (_, i) => project(points[3 * i], points[3 * i + 1], points[3 * i + 2]),
  ).sort((a, b) => a[2] - b[2]);
}
