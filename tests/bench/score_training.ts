/**
 * What a network learns first: how much of its score a Gaussian, mixtures and the optimal denoiser leave unexplained, over
 * training.
 *
 *   deno task bench:scores [--count 4096] [--components 10,50] [--steps 8000] [--snapshots 200,1000,3000,8000]
 *     [--points 1024] [--seed 0] [--checkpoint FILE]
 *
 * Residuals are means over noisy training items of |s_net − s|²/|s_net|²; below each, about the mean of the data,
 * |D_net − D|²/|D_net − μ|². That to the Gaussian falls and rises again where the network learns what a Gaussian does not
 * know; those to mixtures (k-means, then a covariance of each cluster) turn later the more components there are; that to the
 * optimal denoiser only falls. At the end, for each noise level and approximation: the least residual, at which step, and
 * the last one over it.
 */
import type { TrainedNetwork } from "@closedform/diffusion/training";
import {
  compareScores,
  mixture,
  openDevice,
  optimal,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import {
  openTrainingBackend,
  trainDenoiser,
  trainedDenoiser,
} from "@closedform/diffusion/training";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    count: { type: "string", default: "4096" },
    components: { type: "string", default: "10,50" },
    steps: { type: "string", default: "8000" },
    snapshots: { type: "string", default: "200,1000,3000,8000" },
    points: { type: "string", default: "1024" },
    seed: { type: "string", default: "0" },
    checkpoint: { type: "string" },
  },
});

const SIGMAS = [0.2, 0.5, 1, 2, 5, 10];
const set = tinyShapes(Number(options.count)), seed = Number(options.seed);
using device = await openDevice("wasm");
using backend = await openTrainingBackend("wasm");
using held = new DisposableStack();
const approximations = { gaussian: held.use(await wiener(set, { device })) };
for (const components of options.components.split(",").filter(Boolean).map(Number)) {
  // The ridge that is published; a cluster of one image has nothing else.
  const model = await mixture(set, { device, components, ridge: 1e-5 });
  Object.assign(approximations, { [`mixture of ${components}`]: held.use(model) });
}
Object.assign(approximations, { optimal: held.use(await optimal(set, { device })) });

/** Residuals of the score by noise level and approximation, one per snapshot. */
const curves = new Map<string, [step: number, residual: number][]>();

async function compare(trained: TrainedNetwork): Promise<void> {
  using network = trainedDenoiser(trained, { backend });
  const rows = await compareScores(network, approximations, {
    train: set,
    sigmas: SIGMAS,
    count: Number(options.points),
    seed: 1,
  });
  for (const name of Object.keys(approximations)) {
    const own = rows.filter(({ approximation }) => approximation === name);
    const shown = (kind: "score" | "centred") =>
      own.map(({ explained }) => (1 - explained[kind].meanOfRatios).toPrecision(3)).join(" | ");
    console.log(`| ${trained.step} | ${name} | ${shown("score")} |`);
    console.log(`| | centred | ${shown("centred")} |`);
    for (const { sigma, explained } of own) {
      const key = `${name} | ${sigma}`;
      curves.set(key, [
        ...curves.get(key) ?? [],
        [trained.step, 1 - explained.score.meanOfRatios],
      ]);
    }
  }
}

console.log(`| step | to | ${SIGMAS.map((sigma) => `σ=${sigma}`).join(" | ")} |`);
console.log(`|---|---|${SIGMAS.map(() => "---").join("|")}|`);
await trainDenoiser(set, {
  steps: Number(options.steps),
  seed,
  snapshots: options.snapshots.split(",").map(Number),
  ...(options.checkpoint && { checkpoint: options.checkpoint, checkpointEvery: 250 }),
  onStep: async ({ snapshot }) => {
    if (snapshot) await compare(snapshot);
  },
});

console.log("\n| to | σ | least | at step | last / least |\n|---|---|---|---|---|");
for (const [key, curve] of curves) {
  const [step, least] = curve.reduce((best, at) => at[1] < best[1] ? at : best);
  const [, last] = curve.at(-1)!;
  console.log(`| ${key} | ${least.toPrecision(3)} | ${step} | ${(last / least).toFixed(2)} |`);
}
