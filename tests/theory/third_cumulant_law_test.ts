import assert from "node:assert/strict";
import { symmetrised, THREE_MODES } from "../../src/theory/_toy_mixtures.ts";
import { finalError, landing, rmsDistance } from "../../src/theory/third_cumulant_law.ts";

/** Published: landing level, displacement, that of the law, final error. */
const TABLE = [
  [3, 1.2357e-2, 1.2371e-2, 2.302e-3],
  [5, 4.4552e-3, 4.4537e-3, 6.166e-4],
  [10, 1.11362e-3, 1.11343e-3, 9.300e-5],
  [20, 2.78369e-4, 2.78356e-4, 1.274e-5],
  [40, 6.95858e-5, 6.95850e-5, 1.664e-6],
];
/** Published of the symmetrised modes: landing level, displacement, final error. */
const SYMMETRISED = [
  [5, 6.228e-4, 6.194e-5],
  [10, 7.905e-5, 3.972e-6],
  [20, 9.919e-6, 2.499e-7],
  [40, 1.241e-6, 1.564e-8],
];

function near(ours: number, known: number, what: string): void {
  assert.ok(Math.abs(ours / known - 1) < 0.01, `${what}: ${ours}, published ${known}`);
}

function slope(errors: readonly number[][], column: number): number {
  const [first, last] = [errors[0], errors[errors.length - 1]];
  return Math.log(last[column] / first[column]) / Math.log(last[0] / first[0]);
}

Deno.test("a teleport of three modes has the displacements and final errors that are published", async () => {
  const measured: number[][] = [];
  for (const [sigma, displacement, law, final] of TABLE) {
    const { ours, exact, predicted } = await landing(THREE_MODES, sigma);
    const row = [sigma, rmsDistance(ours, exact), await finalError(THREE_MODES, sigma)];
    near(row[1], displacement, `displacement at ${sigma}`);
    near(rmsDistance(predicted, new Float64Array(predicted.length)), law, `law at ${sigma}`);
    near(row[2], final, `final error from ${sigma}`);
    measured.push(row);
  }
  assert.ok(Math.abs(slope(measured.slice(1, 4), 1) + 2) < 0.05);
  assert.ok(Math.abs(slope(measured.slice(2), 2) + 3) < 0.2);
});

Deno.test("without third cumulants a teleport is better by one power of the noise level", async () => {
  const law = symmetrised(THREE_MODES), measured: number[][] = [];
  for (const [sigma, displacement, final] of SYMMETRISED) {
    const { ours, exact, predicted } = await landing(law, sigma);
    const row = [sigma, rmsDistance(ours, exact), await finalError(law, sigma)];
    near(row[1], displacement, `displacement at ${sigma}`);
    near(row[2], final, `final error from ${sigma}`);
    assert.ok(predicted.every((v) => Math.abs(v) < 1e-15));
    measured.push(row);
  }
  assert.ok(Math.abs(slope(measured.slice(0, 3), 1) + 3) < 0.05);
  assert.ok(Math.abs(slope(measured.slice(0, 3), 2) + 4) < 0.2);
});
