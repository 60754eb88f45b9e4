/** The OBJ format, as far as surfaces need it. */
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { GrowingArray } from "./_growing_array.ts";
import { eachLine } from "./_lines.ts";
import { GrowingPolygons, type Polygons } from "./_polygons.ts";
import { decodeText, parseNumber } from "./_text.ts";

const CORNER = /^([+-]?\d+)(\/[+-]?\d*){0,2}$/;
/** Statements without influence on the surface's geometry. */
const IGNORED = new Set(
  ("vt vn vp g o s usemtl mtllib usemap maplib l p mg bevel c_interp d_interp lod " +
    "shadow_obj trace_obj").split(" "),
);

/** Vertices and faces of an OBJ file. Lines it does not know are errors: a lost vertex would shift all others. */
export function* parseObj(
  bytes: Uint8Array,
  file: string,
): Interruptible<{ vertices: Float64Array; faces: Polygons }> {
  const vertices = new GrowingArray((length) => new Float64Array(length));
  const faces = new GrowingPolygons(file);
  yield* eachLine(decodeText(bytes, file), file, (line, number) => {
    const [keyword, ...fields] = line.split("#", 1)[0].trim().split(/\s+/);
    const bad = (wanted: string): DatasetError =>
      new DatasetError(file, `${JSON.stringify(line.slice(0, 60))} in line ${number}`, wanted);
    if (keyword === "v") {
      // A fourth number is a weight, four to seven are colours; neither moves the point.
      const right = fields.length >= 3 && fields.length <= 7 &&
        !fields.some((field) => Number.isNaN(parseNumber(field)));
      if (!right) throw bad("a vertex of three numbers");
      for (const field of fields.slice(0, 3)) vertices.push(Number(field));
    } else if (keyword === "f") {
      const corners = fields.map((field) => resolveCorner(field, vertices.length / 3));
      if (corners.length < 3 || corners.includes(-1)) {
        throw bad("a face of at least three vertices");
      }
      faces.push(corners);
    } else if (keyword !== "" && !IGNORED.has(keyword)) {
      throw bad("a statement of the OBJ format");
    }
  });
  return { vertices: vertices.values, faces: faces.polygons };
}

/** The vertex of a face's corner, counted from 0; -1 if there is none. Negative numbers count back from the last vertex. */
function resolveCorner(field: string, count: number): number {
  const number = Number(CORNER.exec(field)?.[1] ?? 0);
  const index = number > 0 ? number - 1 : count + number;
  // A number above the count may be defined further down; the caller checks in the end.
  return number === 0 || index < 0 || index > 0xFFFFFFFF ? -1 : index;
}
