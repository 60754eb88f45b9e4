import { projection } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";

const angle = fc.double({ min: -360, max: 360, noNaN: true });

Deno.test("projection rotates: lengths and right-handedness stay", () => {
  fc.assert(
    fc.property(angle, angle, (azimuth, elevation) => {
      const see = projection({ azimuth, elevation });
      const [x, y, z] = [see(1, 0, 0), see(0, 1, 0), see(0, 0, 1)];
      const dot = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + value * v[i], 0);
      const cross = [0, 1, 2].map((i) =>
        x[(i + 1) % 3] * y[(i + 2) % 3] - x[(i + 2) % 3] * y[(i + 1) % 3]
      );
      // Sums of three products of numbers up to 1.
      const tolerance = 8 * Number.EPSILON;
      for (const axis of [x, y, z]) assert.ok(Math.abs(dot(axis, axis) - 1) < tolerance);
      for (const [u, v] of [[x, y], [y, z], [z, x]]) assert.ok(Math.abs(dot(u, v)) < tolerance);
      for (let i = 0; i < 3; i++) assert.ok(Math.abs(cross[i] - z[i]) < tolerance);
    }),
    { seed: 6 },
  );
});

Deno.test("projection shows the vertical axis upright, and by default all axes equally long", () => {
  const see = projection();
  const lengths = [see(1, 0, 0), see(0, 1, 0), see(0, 0, 1)].map(([u, v]) => Math.hypot(u, v));
  for (const length of lengths) assert.ok(Math.abs(length - Math.sqrt(2 / 3)) < 1e-15);
  assert.equal(see(0, 1, 0)[0], 0);
  assert.ok(see(0, 1, 0)[1] > 0);
});

Deno.test("projection refuses angles that are none", () => {
  assert.throws(() => projection({ azimuth: NaN }), RangeError);
  assert.throws(() => projection({ elevation: Infinity }), RangeError);
});
