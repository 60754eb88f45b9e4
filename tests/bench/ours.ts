/** Answers jobs with this package: `deno run -A ours.ts wasm|webgpu`. */
import type { DataStore, DeviceKind } from "@closedform/diffusion";
import { openDevice, tensorSpace } from "@closedform/diffusion";
import { answerJobs, median } from "./_jobs.ts";

const device = await openDevice(Deno.args[0] as DeviceKind);
let stored: { file: string; store: DataStore } | undefined;

async function storeOf(file: string, dimension: number): Promise<DataStore> {
  if (stored?.file === file) return stored.store;
  stored?.store.dispose();
  stored = { file, store: await device.store({ data: await Deno.readFile(file), dimension }) };
  return stored.store;
}

await answerJobs(async ({ job, data, queries, dimension, batch, sigma, k, repeat }) => {
  const store = await storeOf(data, dimension);
  const values = new Float32Array((await Deno.readFile(queries)).buffer);
  const x = tensorSpace.from(values, [batch, dimension]);
  let first: number[] = [];
  const ms = await median(repeat, async () => {
    if (job === "topk") {
      first = [...(await store.nearest(x, k)).indices.subarray(0, 100)];
    } else {
      const { mean } = await store.posterior(x, sigma);
      first = [...(await mean.data()).subarray(0, 100)];
      mean.dispose();
    }
  });
  x.dispose();
  return { ms, first };
});
Deno.exit(0);
