/**
 * Statement: inner products with the data walk down the grid like the state, without a scan.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import { optimal } from "../denoisers/optimal.ts";
import { ddpmGrid } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

const ITEMS = 60, DIMENSION = 24, STEPS = 5, HEAD = 1e-18;

/**
 * After some steps of DDIM, inner products that were carried along are those with the state.
 *
 * ```text
 * ⟨x', x_i⟩ = ρ⟨x, x_i⟩ + (1−ρ) Σ_j w_j G_ji,   G_ji = ⟨x_j, x_i⟩,   ρ = σ'/σ
 * ```
 *
 * The weights follow from the products, `w = softmax((⟨x, x_i⟩ − |x_i|²/2)/σ²)`, so one scan of the data at
 * the start is enough, as long as the Gram rows `G_j` of all items that weigh are at hand: at low noise, of a few. Rows of
 * weight below 1e-18 are left out here.
 *
 * @returns The largest difference after five steps below σ = 2, relative to the largest product, and `1e-10`.
 */
export async function carriedProducts(): Promise<Report> {
  const data = Float32Array.from(startNoise(11, 0, ITEMS, DIMENSION));
  const dataset = new Dataset({ data, shape: [DIMENSION], name: "60 points" });
  const items = Array.from({ length: ITEMS }, (_, i) => Float64Array.from(dataset.values(i)));
  const denoiser = await optimal(dataset, { device: "float64" });
  const sigmas = ddpmGrid(20).sigmas.filter((sigma) => sigma < 2).slice(0, STEPS + 1);
  const noise = startNoise(12, 0, 1, DIMENSION);
  let x = items[0].map((v, c) => v + sigmas[0] * noise[c]);
  let products = items.map((item) => dot(x, item));
  for (let n = 0; n < STEPS; n++) {
    const ratio = sigmas[n + 1] / sigmas[n];
    const denoised = (await denoiser.denoise(x, sigmas[n])).mean;
    x = x.map((v, c) => ratio * v + (1 - ratio) * denoised[c]);
    products = carry(products, items, sigmas[n], ratio);
  }
  const exact = items.map((item) => dot(x, item));
  const size = Math.max(...exact.map(Math.abs));
  const worst = Math.max(...exact.map((v, i) => Math.abs(v - products[i]) / size));
  return report("inner products are carried by DDIM without the state (relative)", worst, 1e-10);
}

/** The products after one step, from the products before it and Gram rows of the items that weigh. */
function carry(
  products: readonly number[],
  items: readonly Float64Array[],
  sigma: number,
  ratio: number,
): number[] {
  const logits = products.map((p, i) => (p - dot(items[i], items[i]) / 2) / (sigma * sigma));
  const most = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - most));
  const sum = weights.reduce((total, w) => total + w, 0);
  const head = items.keys().filter((j) => weights[j] > HEAD * sum).toArray();
  return products.map((p, i) => {
    const mean = head.reduce((total, j) => total + weights[j] * dot(items[j], items[i]), 0) / sum;
    return ratio * p + (1 - ratio) * mean;
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, v, c) => sum + v * b[c], 0);
}
