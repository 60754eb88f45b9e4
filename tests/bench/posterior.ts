/**
 * The posterior kernel on each device: milliseconds, bytes moved, operations,
 * and their share of what a plain copy and a plain multiply-add loop reach on
 * the same machine in the same run.
 *
 *   deno task bench [--device wasm|webgpu|reference] [--repeat N]
 *
 * The floor of a call is the larger of two times: the data, read once, over the
 * bandwidth; the operations over their rate. Operations: 3 per number for a
 * distance (subtract, multiply, add), 2 for the weighted sum of rows that are kept.
 */
import type { Device, DeviceKind } from "@closedform/diffusion";
import { openDevice, RandomStream, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { parseArgs } from "node:util";
import { cpuCeilings } from "./_cpu_ceilings.ts";
import { gpuCeilings } from "./_gpu_ceilings.ts";

const { values: options } = parseArgs({
  options: { device: { type: "string" }, repeat: { type: "string", default: "5" } },
});
const kinds = (options.device?.split(",") ?? ["wasm", "webgpu"]) as DeviceKind[];

/** Smooth random images as bytes: neighbouring numbers are alike, as in photographs. */
function images(count: number, dimension: number): Uint8Array {
  const data = new Uint8Array(count * dimension);
  const random = new RandomStream({ seed: 1, purpose: "data" });
  const table = Float32Array.from({ length: 65536 }, () => random.normal());
  for (let at = 0, value = 0, pick = 0; at < data.length; at++) {
    pick = (pick * 1664525 + 1013904223) >>> 0;
    value = 0.95 * value + 20 * table[pick >>> 16];
    data[at] = Math.max(0, Math.min(255, 128 + value));
  }
  return data;
}

async function ceilings(kind: DeviceKind) {
  if (kind !== "webgpu") return await cpuCeilings(kind === "float64" ? 1 : undefined);
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  try {
    return await gpuCeilings(device);
  } finally {
    device.destroy();
  }
}

async function measure(
  device: Device,
  data: Uint8Array,
  dimension: number,
  batch: number,
  sigma: number,
) {
  const store = await device.store({ data, dimension });
  const clean = (i: number) =>
    data[Math.floor(i / dimension) * 31 * dimension + i % dimension] / 127.5 - 1;
  const x = tensorSpace.from(
    startNoise(1, 0, batch, dimension).map((e, i) => clean(i) + sigma * e),
    [batch, dimension],
  );
  const times: number[] = [];
  let kept = 0;
  for (let k = -1; k < Number(options.repeat); k++) {
    const before = performance.now();
    const { mean, facts } = await store.posterior(x, sigma);
    await mean.data();
    // The first call compiles and allocates.
    if (k >= 0) times.push(performance.now() - before);
    kept = facts.effectiveSampleSize[0];
    mean.dispose();
  }
  x.dispose();
  store.dispose();
  times.sort((a, b) => a - b);
  return { ms: times[Math.floor(times.length / 2)], effective: kept };
}

for (const kind of kinds) {
  const { bytesPerSecond, flopPerSecond } = await ceilings(kind);
  using device = await openDevice(kind);
  console.log(`\n${kind}: ${device.description}`);
  console.log(
    `plain copy ${(bytesPerSecond / 1e9).toFixed(1)} GB/s (read + write), ` +
      `plain multiply-adds ${(flopPerSecond / 1e9).toFixed(1)} GFLOP/s\n`,
  );
  console.log(
    "| data (8-bit) | sigma | batch | ms | MB moved | GFLOP | of copy | of multiply-add | x floor |",
  );
  console.log("|---|---|---|---|---|---|---|---|---|");
  for (const [count, dimension] of [[60_000, 784], [50_000, 3072]]) {
    const data = images(count, dimension);
    for (const sigma of [60, 0.5]) {
      for (const batch of [1, 16, 64]) {
        const { ms, effective } = await measure(device, data, dimension, batch, sigma);
        const bytes = count * dimension;
        const flop = batch * dimension * (3 * count + 2 * Math.min(count, effective * 2));
        const floor = Math.max(bytes / bytesPerSecond, flop / flopPerSecond);
        const share = (rate: number, ceiling: number) =>
          `${(100 * rate / (ms / 1000) / ceiling).toFixed(0)} %`;
        console.log(
          `| ${count.toLocaleString("en")} x ${
            dimension.toLocaleString("en")
          } | ${sigma} | ${batch} | ${ms.toFixed(0)} | ` +
            `${(bytes / 1e6).toFixed(0)} | ${(flop / 1e9).toFixed(2)} | ${
              share(bytes, bytesPerSecond)
            } | ` +
            `${share(flop, flopPerSecond)} | ${(ms / 1000 / floor).toFixed(1)} |`,
        );
      }
    }
  }
}
