import type { AnyTensor, Denoiser } from "@closedform/diffusion";
import {
  openDevice,
  RandomStream,
  readNetwork,
  tensorSpace,
  tinyShapes,
  trainedDenoiser,
  wiener,
} from "@closedform/diffusion";
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

Deno.test("the shipped network denoises images it never saw, better than the best linear denoiser", async () => {
  using device = await openDevice("wasm");
  using learned = trainedDenoiser(await readNetwork(FILE));
  using linear = await wiener(tinyShapes(4096), device);
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
      const y = await denoiser.denoise(x, sigma);
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
