/** Runs at the same time are what each alone would be, however long answers take. */
import type { AnyTensor, DataStore, Denoiser, Device } from "@closedform/diffusion";
import * as m from "../_helpers/all_entries.ts";
import assert from "node:assert/strict";
import { onTensors } from "../_helpers/denoisers.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

/** A device whose stores answer late, at random. */
function late(device: Device, seed: number): Device {
  const stream = new m.RandomStream({ seed, purpose: "theory" });
  const pause = async () => {
    const turns = stream.below(4);
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, i));
  };
  const lateStore = (store: DataStore): DataStore =>
    new Proxy(store, {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        if (name === "dispose") return value.bind(target);
        return async (...args: unknown[]) => {
          await pause();
          const answer = await value.apply(target, args);
          await pause();
          return answer;
        };
      },
    });
  return { ...device, store: async (points) => lateStore(await device.store(points)) };
}

const RUNS = [1, 2, 3, 4, 5, 6];

async function ends(denoiser: Denoiser<AnyTensor>, seed: number): Promise<number[]> {
  const grid = m.karrasGrid(6);
  const { x, denoised } = await m.sample(denoiser, {
    count: 3,
    seed,
    grid,
    sampler: m.heun(),
    output: "tensor",
  });
  const values = [...await denoiser.space.values(x)];
  denoiser.space.dispose(x, denoised);
  return values;
}

async function checkAtOnce(name: string, denoiser: Denoiser<AnyTensor>): Promise<void> {
  const alone: number[][] = [];
  for (const seed of RUNS) alone.push(await ends(denoiser, seed));
  const together = await Promise.all(RUNS.map((seed) => ends(denoiser, seed)));
  assert.deepEqual(together, alone, name);
}

Deno.test("runs of one denoiser at the same time give the bits of each alone, for every kind", async () => {
  using device = await m.openDevice("wasm");
  for (const [name, make] of Object.entries(onTensors(late(device, 1)))) {
    await checkAtOnce(name, await make());
  }
});

for (
  const [name, set, options] of [
    ["certified", m.shapes(400, { size: 12 }), { tolerance: 1e-3, retained: 64 }],
    ["certified, loosely", m.shapes(400, { size: 12 }), { tolerance: 1e-2 }],
    ["certified points", m.moons(1500), { tolerance: 1e-2, retained: 32 }],
    ["with a tail", m.shapes(400, { size: 12 }), {}],
    ["without a tail", m.shapes(400, { size: 12 }), { tail: false }],
    ["of a random pool", m.shapes(400, { size: 12 }), { schedule: "random-pool" }],
  ] as const
) {
  Deno.test(`a golden subset ${name} serves several runs at once as it serves each alone`, async () => {
    using device = await m.openDevice("wasm");
    const slow = late(device, 2);
    using exact = await m.optimal(set, { device: slow });
    using golden = await m.goldenSubset(exact, options);
    await checkAtOnce(name, golden);
  });
}

Deno.test("calls at once without a run keep the certificate of each", async () => {
  using device = await m.openDevice("wasm");
  const set = m.shapes(300, { size: 12 }), slow = late(device, 3), tolerance = 1e-3;
  using exact = await m.optimal(set, { device: slow });
  using golden = await m.goldenSubset(exact, { tolerance, retained: 48 });
  const stream = new m.RandomStream({ seed: 4, purpose: "theory" });
  const float64 = optimalFloat64(set);
  const call = async () => {
    const sigma = 0.05 * 40 ** stream.uniform(), item = set.values(stream.below(set.count));
    const row = Float32Array.from(item, (v) => v + sigma * stream.normal());
    const x = m.tensorSpace.from(row, [1, ...set.shape]);
    const { mean, errorBound, certified } = await golden.denoise(x, sigma);
    const values = await m.tensorSpace.values(mean);
    m.tensorSpace.dispose(x, mean);
    const { mean: wanted } = await float64.denoise(Float64Array.from(row), sigma);
    const error = rms(values, wanted);
    assert.equal(certified[0], 1);
    assert.ok(
      error <= errorBound[0] && errorBound[0] <= tolerance,
      `${error} ${errorBound[0]} at ${sigma}`,
    );
  };
  for (let round = 0; round < 12; round++) await Promise.all(Array.from({ length: 12 }, call));
});

function rms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let square = 0;
  for (let i = 0; i < a.length; i++) square += (a[i] - b[i]) ** 2;
  return Math.sqrt(square / a.length);
}
