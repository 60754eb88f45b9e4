/**
 * Points in space, seen from afar.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";

/** From where points in space are seen. */
export interface SpaceView {
  /** Degrees around the vertical axis; 0 looks along `z`, 90 along `x`. Default 45. */
  readonly azimuth?: number;
  /** Degrees above the horizon. Default 35.26, where all three axes are shortened equally. */
  readonly elevation?: number;
}

/** Degrees at which a cube is seen along its diagonal. */
const ISOMETRIC = Math.atan(Math.SQRT1_2) * 180 / Math.PI;

/** The options of {@linkcode SpaceView}. */
export const VIEW_OPTIONS = { azimuth: 45, elevation: ISOMETRIC } satisfies OptionTable<SpaceView>;

/**
 * The parallel projection of space: no perspective, `y` points up, as in meshes.
 *
 * ```text
 * right = (cos a, 0, −sin a),   up = (−sin a sin e, cos e, −cos a sin e),   near = right × up
 * ```
 *
 * @param view From where, by azimuth `a` and elevation `e`.
 * @returns A function from `x, y, z` to how far right, up and near a point is.
 * @throws {RangeError} If an angle is not finite.
 * @throws {TypeError} If there is no such option.
 *
 * @example From the front, `x` points to the right
 * ```ts
 * import { projection } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(projection({ azimuth: 0, elevation: 0 })(1, 2, 3), [1, 2, 3]);
 * ```
 */
export function projection(
  view: SpaceView = {},
): (x: number, y: number, z: number) => [right: number, up: number, near: number] {
  const { azimuth, elevation } = readOptions("project points", view, VIEW_OPTIONS);
  for (const [name, angle] of [["azimuth", azimuth], ["elevation", elevation]] as const) {
    if (Number.isFinite(angle)) continue;
    throw new RangeError(
      `Cannot project points: ${name} is ${angle}, wanted a finite number of degrees`,
    );
  }
  const [a, e] = [azimuth, elevation].map((degrees) => degrees * Math.PI / 180);
  const [cosA, sinA, cosE, sinE] = [Math.cos(a), Math.sin(a), Math.cos(e), Math.sin(e)];
  return (x, y, z) => {
    const away = x * sinA + z * cosA;
    return [x * cosA - z * sinA, y * cosE - away * sinE, y * sinE + away * cosE];
  };
}
