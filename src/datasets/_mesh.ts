/** Triangle meshes from OBJ and PLY files, with turns for others. */
import type { Interruptible } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { parseObj } from "./_obj.ts";
import { parsePly } from "./_ply.ts";
import { triangulate } from "./_triangulate.ts";

/** Vertices and the triangles between them. */
export interface TriangleMesh {
  /** Rows of `x, y, z`. */
  readonly vertices: Float64Array;
  /** Rows of three indices of vertices. */
  readonly triangles: Uint32Array;
}

/** Does what `parseMesh()` says. */
export function* meshOf(bytes: Uint8Array, file: string): Interruptible<TriangleMesh> {
  const ply = [0x70, 0x6C, 0x79].every((byte, i) => bytes[i] === byte);
  const { vertices, faces } = yield* ply ? parsePly(bytes, file) : parseObj(bytes, file);
  const count = vertices.length / 3;
  if (count === 0) {
    throw new DatasetError(file, "no vertices", "a mesh in OBJ or PLY format");
  }
  const bad = vertices.findIndex((v) => !Number.isFinite(Math.fround(v)));
  if (bad >= 0) {
    throw new DatasetError(
      file,
      `the coordinate ${vertices[bad]} of vertex ${Math.floor(bad / 3)}`,
      "finite numbers of float32",
    );
  }
  const beyond = faces.corners.find((index) => index >= count);
  if (beyond !== undefined) {
    throw new DatasetError(
      file,
      `a face with vertex ${beyond}, counted from 0`,
      `vertices below ${count}`,
    );
  }
  return { vertices, triangles: yield* triangulate(vertices, faces, file) };
}
