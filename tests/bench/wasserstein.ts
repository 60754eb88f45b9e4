/**
 * How long the exact 2-Wasserstein distance of two samples takes.
 *
 *     deno run -A tests/bench/wasserstein.ts
 */
import { startNoise, wasserstein2 } from "@closedform/diffusion";

for (const n of [500, 1000, 2000, 4000]) {
  for (const d of [2, 32]) {
    const a = startNoise(1, 0, n, d), b = startNoise(2, 0, n, d);
    const begin = performance.now();
    const { distance, suboptimality } = await wasserstein2(a, b, { dimension: d });
    const seconds = (performance.now() - begin) / 1000;
    console.log(
      `${n} points in ${d}-D: ${distance.toFixed(4)}, off the optimum by at most ${
        suboptimality.toExponential(1)
      } (squared), ${seconds.toFixed(2)} s`,
    );
  }
}
