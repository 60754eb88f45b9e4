import type { PreconditioningConfig } from "@closedform/diffusion/training";
import {
  edmPreconditioning,
  noisePreconditioning,
  plainPreconditioning,
} from "@closedform/diffusion/training";
import { preconditioningOf } from "../../src/denoisers/preconditioning.ts";
import fc from "fast-check";
import assert from "node:assert/strict";

const level = fc.double({ min: 1e-4, max: 1e3, noNaN: true });
const SEEDED = { seed: 7, numRuns: 200 };
// A few products and roots of float64.
const close = (a: number, b: number) =>
  assert.ok(Math.abs(a - b) <= 16 * Number.EPSILON * Math.abs(b), `${a} ${b}`);

Deno.test("edmPreconditioning() gives the network inputs and targets of unit variance, and weighs them alike", () => {
  fc.assert(
    fc.property(level, level, (sigma, sigmaData) => {
      const made = edmPreconditioning(sigmaData);
      const { skip, out, in: input, noise } = made.scales(sigma);
      close(input ** 2 * (sigma ** 2 + sigmaData ** 2), 1);
      // x₀ − c_skip (x₀ + σε); 1 − c_skip is taken as σ²/(σ²+σ_d²), which does not cancel.
      const rest = sigma ** 2 / (sigma ** 2 + sigmaData ** 2);
      close(((rest * sigmaData) ** 2 + (skip * sigma) ** 2) / out ** 2, 1);
      close(made.weight(sigma) * out ** 2, 1);
      close(noise, Math.log(sigma) / 4);
      assert.ok(Math.abs(1 - skip - rest) < 4 * Number.EPSILON);
    }),
    SEEDED,
  );
});

Deno.test("edmPreconditioning() lets the state through at low noise and the network alone speak at high noise", () => {
  const { scales } = edmPreconditioning(0.5);
  assert.ok(Math.abs(scales(1e-9).skip - 1) < 1e-15 && scales(1e-9).out < 2e-9);
  assert.ok(scales(1e9).skip < 1e-15);
  close(scales(1e9).out, 0.5);
});

Deno.test("noisePreconditioning() makes of the true noise the true data", () => {
  fc.assert(
    fc.property(level, level, (sigma, x) => {
      const { skip, out, in: input } = noisePreconditioning().scales(sigma);
      assert.ok(Math.abs(skip * (x + sigma * 0.7) + out * 0.7 - x) <= 4e-16 * (x + 2 * sigma));
      close(input ** 2 * (1 + sigma ** 2), 1);
    }),
    SEEDED,
  );
});

Deno.test("plainPreconditioning() keeps the level that the network is told within bounds", () => {
  const { scales, weight } = plainPreconditioning({ sigmaMin: 0.1, sigmaMax: 10 });
  assert.equal(scales(0.01).noise, Math.log(0.1) / 4);
  assert.equal(scales(1).noise, 0);
  assert.equal(scales(1e6).noise, Math.log(10) / 4);
  assert.equal(weight(3), 1);
});

Deno.test("preconditioningOf() makes each kind again", () => {
  for (
    const made of [
      edmPreconditioning(0.3),
      plainPreconditioning({ sigmaMax: 5 }),
      noisePreconditioning(),
    ]
  ) {
    const again = preconditioningOf(JSON.parse(JSON.stringify(made.config)));
    assert.deepEqual(again.scales(0.7), made.scales(0.7));
    assert.equal(again.weight(0.7), made.weight(0.7));
  }
});

Deno.test("preconditioning refuses values out of range", () => {
  for (const bad of [0, -1, NaN, Infinity]) {
    assert.throws(() => edmPreconditioning(bad), RangeError);
    assert.throws(() => plainPreconditioning({ sigmaMin: bad }), RangeError);
  }
  assert.throws(() => plainPreconditioning({ sigmaMin: 2, sigmaMax: 1 }), RangeError);
  assert.throws(
    () => preconditioningOf({ kind: "magic" } as unknown as PreconditioningConfig),
    RangeError,
  );
});
