/** Answers jobs with this package: `deno run -A ours.ts wasm|webgpu`. */
import type { DataStore, DeviceKind, PointSource } from "@closedform/diffusion";
import { openDevice } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { loadStore } from "@closedform/diffusion/compute";
import { answerJobs, median } from "./_jobs.ts";

const device = await openDevice(Deno.args[0] as DeviceKind);
let stored: { file: string; store: DataStore } | undefined;

/** The rows of a file of bytes without a header. */
function rowsOf(file: Deno.FsFile, count: number, dimension: number): PointSource {
  return {
    count,
    dimension,
    bytes: true,
    async read(first, _rows, target) {
      await file.seek(first * dimension, Deno.SeekMode.Start);
      for (let at = 0; at < target.length;) {
        at += (await file.read((target as Uint8Array).subarray(at)))!;
      }
    },
  };
}

async function storeOf(path: string, count: number, dimension: number): Promise<DataStore> {
  if (stored?.file === path) return stored.store;
  stored?.store.dispose();
  using file = await Deno.open(path);
  stored = { file: path, store: await loadStore(rowsOf(file, count, dimension), device) };
  return stored.store;
}

await answerJobs(async ({ job, data, queries, count, dimension, batch, sigma, k, repeat }) => {
  const store = await storeOf(data, count, dimension);
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
