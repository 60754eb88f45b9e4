/**
 * How fast networks learn on each backend, and whether the memory stays flat over many steps.
 *
 *   deno task bench:training [--backends wasm,cpu,webgpu] [--steps 20] [--flat 10000]
 *
 * Images per second are medians of three rounds in which the backends take turns; one whose first step takes more than
 * 20 s is left out. Of the memory, the resident set of
 * the process and tfjs's tensors and bytes are printed ten times on the way.
 */
import type { Network, TrainingBackendKind } from "@closedform/diffusion/training";
import { shapes, tinyShapes } from "@closedform/diffusion";
import { edmPreconditioning } from "@closedform/diffusion/training";
import {
  beginOptimising,
  denoisingLoss,
  mlp,
  openTrainingBackend,
  optimise,
  unet,
} from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs-core";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    backends: { type: "string", default: "wasm,cpu,webgpu" },
    steps: { type: "string", default: "20" },
    flat: { type: "string", default: "10000" },
  },
});
const steps = Number(options.steps), flat = Number(options.flat);
const backends = options.backends.split(",") as TrainingBackendKind[];

interface Case {
  readonly name: string;
  readonly network: Network;
  readonly data: ReturnType<typeof shapes>;
  readonly batchSize: number;
  /** How many steps a measurement takes, as a share of the steps asked for. */
  readonly share: number;
}

const tiny = tinyShapes(1024), colour = shapes(256);
const cases: Case[] = [
  {
    name: "MLP 3 × 256, 12×12×1, batch 128",
    network: mlp({ shape: tiny.shape }),
    data: tiny,
    batchSize: 128,
    share: 1,
  },
  {
    name: "U-Net 32-64, 12×12×1, batch 64",
    network: unet({ shape: tiny.shape }),
    data: tiny,
    batchSize: 64,
    share: 0.2,
  },
  {
    name: "U-Net 32-64, 32×32×3, batch 16",
    network: unet({ shape: colour.shape }),
    data: colour,
    batchSize: 16,
    share: 0.1,
  },
];

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

for (const { name, network, data, batchSize, share } of steps > 0 ? cases : []) {
  const count = Math.max(2, Math.round(steps * share));
  const rates: Record<string, number[]> = {};
  const hopeless = new Set<string>();
  for (let round = 0; round < 3; round++) {
    for (const kind of backends) {
      if (hopeless.has(kind)) continue;
      using backend = await openTrainingBackend(kind);
      const loss = denoisingLoss(network, data, edmPreconditioning(), { batchSize });
      const state = beginOptimising(network.initial());
      // The first step compiles shaders and fills caches.
      let start = performance.now();
      for await (const _ of optimise(loss, state, { backend, steps: 1 }));
      if (performance.now() - start > 20_000) {
        hopeless.add(kind);
        continue;
      }
      start = performance.now();
      for await (const _ of optimise(loss, state, { backend, steps: 1 + count }));
      (rates[kind] ??= []).push(count * batchSize / (performance.now() - start) * 1000);
    }
  }
  const shown = backends.map((kind) =>
    hopeless.has(kind) ? `${kind} over 20 s a step` : `${kind} ${median(rates[kind]).toFixed(0)}`
  ).join(", ");
  console.log(`${name}: images per second: ${shown}`);
}

if (flat > 0) {
  const network = mlp({ shape: tiny.shape, width: 64 });
  using backend = await openTrainingBackend(backends[0]);
  const loss = denoisingLoss(network, tiny, edmPreconditioning(), { batchSize: 16 });
  const state = beginOptimising(network.initial());
  for await (const { step } of optimise(loss, state, { backend, steps: flat })) {
    if (step % Math.ceil(flat / 10) !== 0) continue;
    const { numTensors, numBytes } = tf.memory();
    console.log(
      `step ${step}: ${(Deno.memoryUsage().rss / 1e6).toFixed(0)} MB, ` +
        `${numTensors} tensors, ${numBytes} bytes`,
    );
  }
}
