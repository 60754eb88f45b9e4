/**
 * The spectrum of real data sets: seconds for the covariance, its eigen-decomposition, both from the
 * cache, and milliseconds per call of the Wiener filter; beside them numpy's (LAPACK's) where there is a python3.
 *
 *   deno task bench:spectrum [--data FOLDER] [--repeat N]
 *
 * The folder holds `mnist` and `cifar-10-batches-bin`. With `--repeat` the best of N is given.
 */
import {
  dataSpectrum,
  openDevice,
  readCifar10,
  readMnist,
  startNoise,
  wiener,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { Dataset } from "@closedform/diffusion";
import { parseArgs } from "node:util";
import { referenceMoments, sampleMoments } from "../../src/compute/covariance.ts";
import { eigenDecomposition } from "../../src/compute/eigen_decomposition.ts";
import { referenceEigen } from "../../src/compute/reference_eigen.ts";

const { values: options } = parseArgs({
  options: {
    data: { type: "string", default: "../shared/data" },
    repeat: { type: "string", default: "1" },
  },
});

/** The result of a function and its best time, in seconds. */
async function timed<T>(run: () => T | Promise<T>, repeat = Number(options.repeat)) {
  let best = Infinity, result!: T;
  for (let k = 0; k < repeat; k++) {
    const before = performance.now();
    result = await run();
    best = Math.min(best, (performance.now() - before) / 1000);
  }
  return { result, seconds: best };
}

/** Seconds of numpy's `eigh` on a random matrix of this size; undefined if there is no numpy. */
async function numpySeconds(n: number): Promise<number | undefined> {
  const script = `
import numpy, time
a = numpy.random.default_rng(1).standard_normal((${n}, ${n})); a += a.T
numpy.linalg.eigh(a[:64, :64])
t = time.time(); numpy.linalg.eigh(a); print(time.time() - t)`;
  const python = new Deno.Command("python3", { args: ["-c", script], stderr: "null" });
  try {
    const { success, stdout } = await python.output();
    return success ? Number(new TextDecoder().decode(stdout)) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Milliseconds per call of the Wiener filter on a batch. */
async function wienerTime(set: Dataset, cache: string, batch: number): Promise<number> {
  using device = await openDevice("wasm");
  using denoiser = await wiener(set, { device, cache });
  const x = tensorSpace.from(startNoise(1, 0, batch, set.dimension), [batch, ...set.shape]);
  const { seconds } = await timed(
    async () => tensorSpace.dispose((await denoiser.denoise(x, 1)).mean),
    5,
  );
  x.dispose();
  return 1000 * seconds;
}

const row = (...cells: readonly string[]) => console.log(`| ${cells.join(" | ")} |`);
const text = (seconds: number | undefined) => seconds === undefined ? "-" : seconds.toFixed(2);

console.log(`${navigator.hardwareConcurrency} threads; seconds, best of ${options.repeat}\n`);
row(
  "data (8-bit)",
  "covariance",
  "eigen-decomposition",
  "numpy eigh",
  "all, first time",
  "from cache",
  "Wiener, batch 1 / 16 / 64, ms",
);
row(...new Array(7).fill("---"));
const cache = await Deno.makeTempDir();
try {
  for (
    const set of [
      await readMnist(`${options.data}/mnist`),
      await readCifar10(`${options.data}/cifar-10-batches-bin`),
    ]
  ) {
    const moments = await timed(() => sampleMoments(set));
    const { covariance } = moments.result;
    const eigen = await timed(() => eigenDecomposition(covariance, set.dimension));
    const first = await timed(() => dataSpectrum(set, { cache }), 1);
    const again = await timed(() => dataSpectrum(set, { cache }), 5);
    const calls: string[] = [];
    for (const batch of [1, 16, 64]) calls.push((await wienerTime(set, cache, batch)).toFixed(0));
    row(
      `${set.count.toLocaleString("en")} x ${set.dimension.toLocaleString("en")}`,
      text(moments.seconds),
      text(eigen.seconds),
      text(await numpySeconds(set.dimension)),
      text(first.seconds),
      text(again.seconds),
      calls.join(" / "),
    );
  }
  // What the threads are worth: the same by plain loops, on a part that they can do.
  const part = (await readMnist(`${options.data}/mnist`)).take(5000);
  const plain = await timed(() => referenceMoments(part));
  const { covariance } = plain.result;
  console.log(`\n784 dimensions, plain loops against threads:`);
  console.log(
    `covariance of 5,000: ${text(plain.seconds)} s against ${
      text((await timed(() => sampleMoments(part))).seconds)
    } s`,
  );
  console.log(
    `eigen-decomposition: ${
      text((await timed(() => referenceEigen(covariance, 784))).seconds)
    } s against ${text((await timed(() => eigenDecomposition(covariance, 784))).seconds)} s`,
  );
} finally {
  await Deno.remove(cache, { recursive: true });
}
