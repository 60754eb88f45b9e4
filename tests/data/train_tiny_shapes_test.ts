import type { AnyTensor, Denoiser } from "@closedform/diffusion";
import {
  explainedScore,
  openDevice,
  optimal,
  RandomStream,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { readNetwork, trainedDenoiser } from "@closedform/diffusion/training";
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";
import { STEPS } from "../../data/train_tiny_shapes.ts";

const FILE = fromFileUrl(new URL("../../data/networks/tiny-shapes.safetensors", import.meta.url));

Deno.test("the shipped network is what its script says, within half a megabyte", async () => {
  const { network, step, data, preconditioning } = await readNetwork(FILE);
  assert.equal(network.config.kind, "mlp");
  assert.deepEqual([network.shape, step, data], [[12, 12, 1], STEPS, "tiny shapes"]);
  assert.deepEqual(preconditioning.config, { kind: "edm", sigmaData: 0.5 });
  assert.ok((await Deno.stat(FILE)).size < 500_000);
});

/**
 * Residuals of the score to the Gaussian and to the optimal denoiser by noise level, of a network of the same sizes that was
 * trained for as long on the same law of images by another program.
 */
const MINIATURE: [sigma: number, gaussian: number, optimal: number][] = [
  [0.2, 0.184, 0.314],
  [0.5, 0.0917, 0.147],
  [1, 0.0269, 0.0362],
  [2, 4.1e-3, 3.6e-3],
  [5, 2.5e-4, 1.9e-4],
  [10, 4.0e-5, 3.7e-5],
];

Deno.test("the shipped network's score is as far from the Gaussian and the optimal one as another program's", async () => {
  using device = await openDevice("wasm");
  const set = tinyShapes(4096);
  using network = trainedDenoiser(await readNetwork(FILE));
  using gaussian = await wiener(set, { device });
  using exact = await optimal(set, { device });
  const found: number[][] = [];
  for (const [sigma, ...wanted] of MINIATURE) {
    const stream = new RandomStream({ seed: 1, purpose: "metric" });
    const rows = Array.from({ length: 256 }, () => [...set.values(stream.below(set.count))]).flat();
    const x = tensorSpace.from(rows.map((v) => v + sigma * stream.normal()), [256, 12, 12, 1]);
    const residuals = [];
    for (const [k, approximation] of [gaussian, exact].entries()) {
      const { score } = await explainedScore(network, approximation, x, sigma);
      residuals.push(1 - score.meanOfRatios);
      // Other images, start weights and noise: a tenth in a single run, and as much by the points.
      assert.ok(Math.abs(residuals[k] / wanted[k] - 1) < 0.2, `σ=${sigma}: ${residuals} ${wanted}`);
    }
    found.push(residuals);
    x.dispose();
  }
  // At σ = 1 it has learned the law rather than the items; at 10 nearly all of the score is that of a Gaussian.
  assert.ok(found[2][0] < found[2][1] && found[5][0] < 1e-4);
});

Deno.test("the shipped network denoises images it never saw, better than the best linear denoiser", async () => {
  using device = await openDevice("wasm");
  using learned = trainedDenoiser(await readNetwork(FILE));
  using linear = await wiener(tinyShapes(4096), { device });
  // Items beyond those that it was trained on: others have the same numbers under the same seed.
  const fresh = tinyShapes(256, { seed: 1 }), d = fresh.dimension;
  const stream = new RandomStream({ seed: 8, purpose: "theory" });
  for (const sigma of [0.1, 0.2, 0.5, 1]) {
    const x = tensorSpace.from(fresh.data.map((v) => v + sigma * stream.normal()), [
      256,
      12,
      12,
      1,
    ]);
    const error = async (denoiser: Denoiser<AnyTensor>) => {
      const y = (await denoiser.denoise(x, sigma)).mean;
      const values = await tensorSpace.values(y);
      y.dispose();
      const squares = Array.from(values, (v, i) => (v - fresh.data[i]) ** 2);
      return squares.reduce((sum, v) => sum + v) / (256 * d);
    };
    const [ours, theirs] = [await error(learned), await error(linear)];
    assert.ok(ours < theirs, `σ=${sigma}: ${ours} ${theirs}`);
    x.dispose();
  }
});
