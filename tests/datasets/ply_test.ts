import { encodePly, parseMesh, readMesh, startNoise } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";
import { withFolder, write } from "../_helpers/files.ts";

Deno.test("encodePly() is read back bit for bit, as text and binary, in both precisions", () => {
  // A file of numbers beyond float32 is refused on reading.
  const number = fc.float({ noNaN: true, noDefaultInfinity: true });
  const points = fc.array(fc.tuple(number, number, number), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(
      points,
      fc.constantFrom("binary", "ascii"),
      fc.boolean(),
      (rows, format, double) => {
        const flat = rows.flat();
        const values = double ? Float64Array.from(flat, (v) => v / 3) : Float32Array.from(flat);
        const { vertices, triangles } = parseMesh(encodePly(values, { format }), "x.ply");
        assert.equal(triangles.length, 0);
        assert.equal(vertices.length, values.length);
        // Text knows no sign of zero.
        values.forEach((v, at) => assert.ok(vertices[at] === v));
      },
    ),
    { seed: 6, numRuns: 200 },
  );
});

Deno.test("encodePly() begins with the header that the format asks for", () => {
  const text = new TextDecoder().decode(encodePly([0.5, -1, 2e-8], { format: "ascii" }));
  assert.equal(
    text,
    "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n" +
      `end_header\n0.5 -1 ${Math.fround(2e-8)}\n`,
  );
  const bytes = encodePly(Float32Array.of(1, 2, 3));
  const head = new TextDecoder().decode(bytes.subarray(0, -12));
  assert.match(head, /^ply\nformat binary_little_endian 1\.0\n.*\nend_header\n$/s);
  // 1 in little-endian float32.
  assert.deepEqual([...bytes.subarray(-12, -8)], [0, 0, 0x80, 0x3f]);
});

Deno.test("encodePly() makes what readMesh() takes as vertices", () =>
  withFolder(async (folder) => {
    const points = Float32Array.from(startNoise(1, 0, 50, 3));
    const path = await write(folder, "cloud.ply", encodePly(points));
    const { data } = await readMesh(path, { vertices: true, normalise: "none" });
    assert.ok(data.every((v, i) => v === points[i]) && data.length === points.length);
  }));

Deno.test("encodePly() refuses what are no points", () => {
  assert.throws(() => encodePly([]), TypeError);
  assert.throws(() => encodePly([1, 2]), TypeError);
  assert.throws(() => encodePly([1, 2, NaN]), RangeError);
  assert.throws(() => encodePly([1, 2, 1e39]), RangeError);
  assert.throws(() => encodePly([1, 2, 3], { format: "text" as "ascii" }), RangeError);
});
