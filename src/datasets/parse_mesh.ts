/**
 * Triangle meshes from OBJ and PLY files.
 *
 * @module
 */
import { atOnce } from "../base/_turns.ts";
import { meshOf } from "./_mesh.ts";
import type { TriangleMesh } from "./_mesh.ts";

export type { TriangleMesh } from "./_mesh.ts";

/**
 * Parses a mesh: PLY (text, or binary of either byte order) if it begins so, else OBJ.
 * Polygons are split into the fan of triangles around their first corner if they are convex, else by cutting ears.
 *
 * @param bytes The bytes of the file.
 * @param file The file's name, for messages.
 * @returns At least one vertex, and the triangles, which may be none.
 * @throws {DatasetError} If the file is damaged, of another format, or without vertices.
 *
 * @example A square, as two triangles
 * ```ts
 * import { parseMesh } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n";
 * const { triangles } = parseMesh(new TextEncoder().encode(text), "square.obj");
 * assert.deepEqual([...triangles], [0, 1, 2, 0, 2, 3]);
 * ```
 */
export function parseMesh(bytes: Uint8Array, file: string): TriangleMesh {
  return atOnce(meshOf(bytes, file));
}
