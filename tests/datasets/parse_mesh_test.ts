import { DatasetError, parseMesh } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";
import { BOX_FACES, boxCorners, encodeObj, encodePly } from "../_helpers/meshes.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const CORNERS = boxCorners(0.5, 1, 2);
const FORMATS = ["ascii", "binary_little_endian", "binary_big_endian"] as const;

function refuses(content: string | Uint8Array, message: RegExp): void {
  const bytes = typeof content === "string" ? encode(content) : content;
  assert.throws(() => parseMesh(bytes, "some.mesh"), (error) => {
    assert.ok(error instanceof DatasetError, `${error}`);
    assert.equal(error.file, "some.mesh");
    assert.match(error.message, message);
    return true;
  });
}

Deno.test("parseMesh() gives the same box from OBJ and all forms of PLY", () => {
  const triangles = BOX_FACES.flatMap(([a, b, c, d]) => [a, b, c, a, c, d]);
  const files = [
    encode(encodeObj(CORNERS, BOX_FACES)),
    ...FORMATS.map((format) => encodePly(format, CORNERS, BOX_FACES)),
  ];
  for (const file of files) {
    const mesh = parseMesh(file, "box");
    assert.deepEqual([...mesh.vertices], CORNERS.flat());
    assert.deepEqual([...mesh.triangles], triangles);
  }
});

Deno.test("parseMesh() reads OBJ corners with textures and normals, negative and ahead of their vertices", () => {
  const text =
    "# a comment\nmtllib x.mtl\no thing\nv 1 2 3 # here\nf 1/4/5 2//7 3/\nvn 0 0 1\nvt 0 1\n" +
    "v 4 5 6 0.1 0.2 0.3\nv 7e0 -8. +.9 1\ns off\nf -3 -2 -1\n";
  const mesh = parseMesh(encode(text), "x.obj");
  assert.deepEqual([...mesh.vertices], [1, 2, 3, 4, 5, 6, 7, -8, 0.9]);
  assert.deepEqual([...mesh.triangles], [0, 1, 2, 0, 1, 2]);
});

Deno.test("parseMesh() reads PLY points without faces, and steps over other elements", () => {
  const text = "ply\r\nformat ascii 1.0\r\nelement edge 1\r\nproperty list char short ends\r\n" +
    "property double w\r\nelement vertex 1\r\nproperty int z\r\nproperty int y\r\nproperty int x\r\nend_header\r\n2 0 0 0.5\r\n3 2 1\r\n";
  const mesh = parseMesh(encode(text), "x.ply");
  assert.deepEqual([[...mesh.vertices], [...mesh.triangles]], [[1, 2, 3], []]);
});

Deno.test("parseMesh() covers concave polygons, and nothing beside them, from OBJ and PLY", () => {
  fc.assert(
    fc.property(
      // Rays around a centre, which a polygon of any such lengths surrounds once.
      fc.array(fc.double({ min: 0.05, max: 1, noNaN: true }), { minLength: 4, maxLength: 40 }),
      fc.double({ min: 0, max: 6, noNaN: true }),
      fc.double({ min: 0, max: 6, noNaN: true }),
      fc.boolean(),
      (radii, yaw, pitch, reversed) => {
        const flat = radii.map((r, k) => {
          const angle = 2 * Math.PI * k / radii.length;
          return [r * Math.cos(angle), r * Math.sin(angle)];
        });
        if (reversed) flat.reverse();
        const area = flat.reduce((sum, [x, y], k) => {
          const [u, v] = flat[(k + 1) % flat.length];
          return sum + (x * v - u * y) / 2;
        }, 0);
        const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
        // The plane of (x, y), turned about z and then about x, and moved.
        const corners = flat.map(([x, y]) => {
          const [u, v] = [cy * x - sy * y, sy * x + cy * y];
          return [u + 3, cp * v - 1, sp * v + 2];
        });
        const face = corners.map((_, k) => k);
        for (
          const file of [encode(encodeObj(corners, [face])), encodePly("ascii", corners, [face])]
        ) {
          const { vertices, triangles } = parseMesh(file, "x");
          let covered = 0, turned = 0;
          for (let at = 0; at < triangles.length; at += 3) {
            const [a, b, c] = [...triangles.subarray(at, at + 3)].map((
              i,
            ) => [...vertices.subarray(3 * i, 3 * i + 3)]);
            const [u, v] = [b, c].map((p) => p.map((w, k) => w - a[k]));
            const normal = [
              u[1] * v[2] - u[2] * v[1],
              u[2] * v[0] - u[0] * v[2],
              u[0] * v[1] - u[1] * v[0],
            ];
            covered += Math.hypot(...normal) / 2;
            // Along the normal of the turned plane.
            turned += (-sp * normal[1] + cp * normal[2]) / 2;
          }
          // Coordinates up to 4, of which 40 corners are rounded twice.
          const tolerance = 40 * 16 * 4 * Number.EPSILON;
          assert.ok(Math.abs(covered - Math.abs(area)) < tolerance, `${covered} of ${area}`);
          assert.ok(Math.abs(turned - area) < tolerance, `${turned} of ${area}`);
        }
      },
    ),
    { seed: 5, numRuns: 300 },
  );
});

Deno.test("parseMesh() splits an arrow by hand, and an L that lies ahead of its vertices", () => {
  const arrow = "v 0 0 0\nv 2 1 0\nv 0 2 0\nv 1 1 0\nf 1 2 3 4\n";
  const triples = (text: string) => {
    const { triangles } = parseMesh(encode(text), "x.obj");
    return Array.from(
      { length: triangles.length / 3 },
      (_, k) => [...triangles.subarray(3 * k, 3 * k + 3)].sort().join(""),
    );
  };
  assert.deepEqual(triples(arrow).sort(), ["013", "123"]);
  const l = "f 1 2 3 4 5 6\nv 0 0 5\nv 2 0 5\nv 2 1 5\nv 1 1 5\nv 1 2 5\nv 0 2 5\n";
  assert.equal(triples(l).length, 4);
  // Bent far out of a plane, and crossing itself: no corner is lost.
  assert.equal(triples("v 0 5 -1\nv .5 -1 2\nv .5 1 2\nv -.5 1 2\nf 1 2 3 4\n").length, 2);
  assert.equal(triples("v 0 0 0\nv 2 2 0\nv 3 0 0\nv 0 1 0\nf 1 2 3 4\n").length, 2);
  // Of no area: the fan, whatever it is.
  assert.equal(triples("v 1 1 1\nv 2 2 2\nv 3 3 3\nv 4 4 4\nf 1 2 3 4\n").length, 2);
});

Deno.test("parseMesh() refuses damaged OBJ files, and names the line", () => {
  const v = "v 0 0 0\nv 1 0 0\nv 0 1 0\n";
  refuses("", /no vertices/);
  refuses(v + "v 1 2\n", /"v 1 2" in line 4, wanted a vertex/);
  refuses(v + "v 1 2 x\n", /in line 4/);
  refuses(v + "v 1 2 NaN\n", /in line 4/);
  refuses(v + "v 1 2 1e39\n", /the coordinate 1e\+39 of vertex 3/);
  refuses(v + "f 1 2\n", /in line 4, wanted a face of at least three/);
  for (const corner of ["0", "-4", "1.5", "x", "3/x", "1/2/3/4", "99999999999"]) {
    refuses(`${v}f 1 2 ${corner}\n`, /in line 4/);
  }
  refuses(v + "f 1 2 4\n", /a face with vertex 3, counted from 0, wanted vertices below 3/);
  refuses(v + "w 1 2 3\n", /wanted a statement of the OBJ format/);
  refuses(Uint8Array.of(0x76, 0x20, 0xFF), /no UTF-8 text/);
});

Deno.test("parseMesh() refuses damaged PLY files", () => {
  for (const format of FORMATS) {
    const good = encodePly(format, CORNERS, BOX_FACES);
    refuses(good.subarray(0, format === "ascii" ? -3 : -1), /early end|an end after/);
    refuses(Uint8Array.of(...good, 0x31), /more data than its header declares|a whole number/);
    refuses(encodePly(format, CORNERS, [[0, 1]]), /face 0 with vertices \[0, 1\]/);
    refuses(encodePly(format, CORNERS, [[0, 1, -1]]), /face 0 with/);
    refuses(encodePly(format, CORNERS, [[0, 1, 8]]), /a face with vertex 8/);
  }
  const head = (lines: string) => `ply\nformat ascii 1.0\n${lines}\nend_header\n`;
  const xyz = "element vertex 1\nproperty float x\nproperty float y\nproperty float z";
  refuses("ply\nformat ascii 1.0\n", /no end_header/);
  refuses("ply\nend_header\n", /no format/);
  refuses("ply\nformat ascii 2.0\nend_header\n", /the header line "format ascii 2.0"/);
  refuses(head("property float x"), /the header line/);
  refuses(head("element vertex 1\nproperty half x"), /the header line/);
  refuses(head("element vertex -1"), /the header line/);
  refuses(head("element vertex 4000000000"), /element vertex with properties \[\]/);
  refuses(head("element vertex 1\nproperty float x\nproperty float y"), /wanted x, y and z/);
  refuses(head(`${xyz}\nproperty float x`), /each of its own name/);
  refuses(head(`${xyz}\n${xyz}`), /two elements of one name/);
  refuses(head(`${xyz}\nelement face 1\nproperty int a`), /wanted a list vertex_indices/);
  refuses(head(`${xyz}\nelement face 1\nproperty list float int vertex_index`), /length in floats/);
  refuses(head(xyz) + "1 2 0x3\n", /found "0x3", wanted a number/);
  refuses(
    head(`${xyz}\nelement face 1\nproperty list int int vertex_index`) + "0 0 0 -1\n",
    /a list of length -1/,
  );
  refuses(
    head(`${xyz}\nelement face 1\nproperty list int int vertex_index`) + "0 0 0 4000000000 1 2\n",
    /early end/,
  );
});
