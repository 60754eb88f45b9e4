/**
 * What a network learns first: how much of its score a Gaussian and the optimal denoiser leave unexplained, over training.
 *
 *   deno task bench:scores [--count 4096] [--steps 8000] [--snapshots 200,1000,3000,8000] [--points 1024] [--checkpoint FILE]
 *
 * Residuals are means over noisy training items of |s_net − s|²/|s_net|², Gaussian / optimal; below each, about the mean of
 * the data, |D_net − D|²/|D_net − μ|². That to the Gaussian falls and rises again where the network learns what a Gaussian
 * does not know.
 */
import type { TrainedNetwork } from "@closedform/diffusion";
import {
  compareScores,
  openDevice,
  optimal,
  RandomStream,
  tensorSpace,
  tinyShapes,
  trainDenoiser,
  trainedDenoiser,
  wiener,
} from "@closedform/diffusion";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "4096" },
    steps: { type: "string", default: "8000" },
    snapshots: { type: "string", default: "200,1000,3000,8000" },
    points: { type: "string", default: "1024" },
    checkpoint: { type: "string" },
  },
});

const SIGMAS = [0.2, 0.5, 1, 2, 5, 10];
const set = tinyShapes(Number(options.count)), points = Number(options.points);
using device = await openDevice("wasm");
using exact = await optimal(set, device);
using gaussian = await wiener(set, device);

/** Noisy items of the data, the same ones for every snapshot. */
function noisy(sigma: number) {
  const stream = new RandomStream({ seed: 1, purpose: "metric" });
  const rows = Array.from({ length: points }, () => [...set.values(stream.below(set.count))]);
  return tensorSpace.from(rows.flat().map((v) => v + sigma * stream.normal()), [
    points,
    ...set.shape,
  ]);
}

async function compare(trained: TrainedNetwork): Promise<void> {
  using network = trainedDenoiser(trained);
  const scores: string[] = [], centred: string[] = [];
  for (const sigma of SIGMAS) {
    const x = noisy(sigma);
    const to = {
      gaussian: await compareScores(network, gaussian, x, sigma),
      optimal: await compareScores(network, exact, x, sigma),
    };
    const shown = (kind: "score" | "centred") =>
      Object.values(to).map((found) => (1 - found[kind].meanOfRatios).toPrecision(3)).join("/");
    scores.push(shown("score"));
    centred.push(shown("centred"));
    x.dispose();
  }
  console.log(`| ${trained.step} | ${scores.join(" | ")} |`);
  console.log(`| centred | ${centred.join(" | ")} |`);
}

console.log(`| step | ${SIGMAS.map((sigma) => `σ=${sigma}`).join(" | ")} |`);
console.log(`|---|${SIGMAS.map(() => "---").join("|")}|`);
await trainDenoiser(set, {
  steps: Number(options.steps),
  snapshots: options.snapshots.split(",").map(Number),
  ...(options.checkpoint && { checkpoint: options.checkpoint, checkpointEvery: 250 }),
  onStep: async ({ snapshot }) => {
    if (snapshot) await compare(snapshot);
  },
});
