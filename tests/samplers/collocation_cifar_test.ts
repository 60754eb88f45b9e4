/** Collocation in float32 on CIFAR-10, against the flow of its 50,000 images in float64. */
import { collocation, decodeNpy, openDevice, optimal, readCifar10 } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { CollocationStep } from "@closedform/diffusion";
import type { AnyTensor } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { cifarStart, DIMENSION, LEVELS, SAMPLES } from "../fixtures/cifar_flow.ts";

const FOLDER = "cifar-10-batches-bin";

Deno.test({
  name: "collocation() on CIFAR-10 reaches 1e-6 in float32, and its guard stops it there",
  ignore: !hasData(FOLDER),
  async fn() {
    const images = await readCifar10(dataPath(FOLDER));
    using device = await openDevice("wasm");
    using denoiser = await optimal(images, { device });
    const file = new URL("../fixtures/cifar_flow.npy", import.meta.url);
    const { data: exact } = decodeNpy(await Deno.readFile(file), "cifar_flow.npy");

    await withoutLeaks(async () => {
      const start = tensorSpace.from(cifarStart(), [SAMPLES, 32, 32, 3]);
      // Asked for a thousand times less than float32 can give: the tolerance is raised to its floor, or,
      // where that is switched off, the guard finds that nothing but rounding is left.
      for (
        const [options, most] of [
          [{ tolerance: 1e-9, nodes: 6 }, 400],
          [{ tolerance: 1e-8, nodes: 6, clampTolerance: false }, 800],
        ] as const
      ) {
        let last: CollocationStep<AnyTensor> | undefined, end: ArrayLike<number> = [];
        for await (const step of collocation(options).run(denoiser, start, LEVELS)) {
          last = step;
          end = await tensorSpace.values(step.x);
        }
        for (let r = 0; r < SAMPLES; r++) {
          let error = 0, size = 0;
          for (let i = r * DIMENSION; i < (r + 1) * DIMENSION; i++) {
            error += (end[i] - exact[i]) ** 2;
            size += exact[i] ** 2;
          }
          assert.ok(Math.sqrt(error / size) <= 1e-6, `sample ${r}: ${Math.sqrt(error / size)}`);
        }
        assert.ok(last!.evaluations <= most, `${last!.evaluations} evaluations`);
        const { converged, noiseLimited } = last!.convergence;
        const raised = !("clampTolerance" in options);
        assert.ok(converged.every((c) => c === raised) && noiseLimited.every((n) => n !== raised));
      }
      start.dispose();
    });
  },
});
