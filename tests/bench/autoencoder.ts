/**
 * The autoencoder codec on MNIST: what 5,000 test images lose on the way to latents and back, beside principal
 * components of as many numbers, and the time that training takes.
 *
 * `deno task bench:autoencoder [steps] [latents] [stability] [file to keep it in]`
 *
 * @module
 */
import type { Codec, Dataset } from "@closedform/diffusion";
import { autoencoderCodec, pcaCodec, readMnist } from "@closedform/diffusion";
import { encodeAutoencoder, trainAutoencoder, writeWhole } from "@closedform/diffusion/training";
import { dataPath } from "../_helpers/data.ts";

const [steps = "3000", latents = "32", stability = "0.1", file] = Deno.args;
const data = await readMnist(dataPath("mnist"));
const held = (await readMnist(dataPath("mnist"), { split: "test" })).take(5000);
const mean = data.mean(), rank = Number(latents);

/** The share of the variance about the mean of the training data that is lost. */
async function lost(codec: Codec, { count, dimension: d }: Dataset): Promise<number> {
  const x = new Float32Array(count * d);
  for (let i = 0; i < count; i++) x.set(held.values(i), i * d);
  const back = await codec.decode(await codec.encode(x));
  let error = 0, all = 0;
  for (let at = 0; at < x.length; at++) {
    error += (x[at] - back[at]) ** 2;
    all += (x[at] - mean[at % d]) ** 2;
  }
  return error / all;
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
for (const r of [rank, 2 * rank]) {
  using linear = await pcaCodec(data, { rank: r });
  console.log(`${r} principal components: ${percent(await lost(linear, held))} lost`);
}
let seconds = 0, told = 0;
const trained = await trainAutoencoder(data, {
  latentDimension: rank,
  steps: Number(steps),
  stability: Number(stability),
  onStep({ step, loss, elapsed, remaining }) {
    seconds = elapsed;
    if (elapsed < told + 10) return;
    told = elapsed;
    console.log(`  step ${step}, loss ${loss.toFixed(2)}, ${remaining.toFixed(0)} s left`);
  },
});
using codec = await autoencoderCodec(trained);
console.log(
  `${codec.label}: ${percent(await lost(codec, held))} lost, ${seconds.toFixed(0)} s of steps`,
);
if (file) await writeWhole(file, encodeAutoencoder(trained));
