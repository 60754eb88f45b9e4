/** Small meshes and their encodings. */
import type { TriangleMesh } from "@closedform/diffusion";

/** The quadrilateral faces of a box with corners numbered by the bits x, y, z. */
export const BOX_FACES = [
  [0, 2, 3, 1],
  [4, 5, 7, 6],
  [0, 1, 5, 4],
  [2, 6, 7, 3],
  [0, 4, 6, 2],
  [1, 3, 7, 5],
];

/** The corners of the box of half sides `a, b, c` around the origin. */
export function boxCorners(a: number, b: number, c: number): number[][] {
  return Array.from(
    { length: 8 },
    (_, k) => [a, b, c].map((half, axis) => (k >> axis & 1) ? half : -half),
  );
}

/** An OBJ file of polygons. */
export function encodeObj(vertices: number[][], faces: number[][]): string {
  return [
    ...vertices.map((v) => `v ${v.join(" ")}`),
    ...faces.map((f) => `f ${f.map((index) => index + 1).join(" ")}`),
    "",
  ].join("\n");
}

/** A PLY file of polygons, with a colour per vertex that readers have to step over. */
export function encodePly(
  format: "ascii" | "binary_little_endian" | "binary_big_endian",
  vertices: number[][],
  faces: number[][],
): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode(
    `ply\nformat ${format} 1.0\ncomment a test\nelement vertex ${vertices.length}\n` +
      "property float x\nproperty float y\nproperty float z\nproperty uchar red\n" +
      `element face ${faces.length}\nproperty list uchar int vertex_indices\nend_header\n`,
  );
  if (format === "ascii") {
    const lines = [
      ...vertices.map((v) => `${v.join(" ")} 255`),
      ...faces.map((f) => `${f.length} ${f.join(" ")}`),
      "",
    ];
    return Uint8Array.of(...header, ...new TextEncoder().encode(lines.join("\n")));
  }
  const little = format === "binary_little_endian";
  const size = 13 * vertices.length +
    faces.reduce((sum, face) => sum + 1 + 4 * face.length, 0);
  const view = new DataView(new ArrayBuffer(size));
  let at = 0;
  for (const vertex of vertices) {
    for (const v of vertex) {
      view.setFloat32(at, v, little);
      at += 4;
    }
    view.setUint8(at++, 255);
  }
  for (const face of faces) {
    view.setUint8(at++, face.length);
    for (const index of face) {
      view.setInt32(at, index, little);
      at += 4;
    }
  }
  return Uint8Array.of(...header, ...new Uint8Array(view.buffer));
}

/** The mean and the mean square of one coordinate over a mesh's surface, exactly, from its triangles. */
export function surfaceMoments(
  { vertices, triangles }: TriangleMesh,
  axis: number,
): { mean: number; square: number; area: number } {
  let [area, first, second] = [0, 0, 0];
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [0, 1, 2].map((k) =>
      Array.from(vertices.subarray(3 * triangles[t + k], 3 * triangles[t + k] + 3))
    );
    const [u, v] = [b, c].map((p) => p.map((x, i) => x - a[i]));
    const dot = (p: number[], q: number[]) => p.reduce((sum, x, i) => sum + x * q[i], 0);
    // Lagrange's identity: |u × v|² = |u|²|v|² − (u·v)².
    const size = Math.sqrt(Math.max(0, dot(u, u) * dot(v, v) - dot(u, v) ** 2)) / 2;
    const [x, y, z] = [a[axis], b[axis], c[axis]];
    area += size;
    first += size * (x + y + z) / 3;
    second += size * (x * x + y * y + z * z + x * y + y * z + z * x) / 6;
  }
  return { mean: first / area, square: second / area, area };
}
