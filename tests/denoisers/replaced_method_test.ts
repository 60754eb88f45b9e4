/** One method of a denoiser: who replaces it, is called. */
import type { AnyTensor, Denoiser, Sigma } from "@closedform/diffusion";
import * as m from "../_helpers/all_entries.ts";
import assert from "node:assert/strict";
import { FLOAT64, images, onTensors, points } from "../_helpers/denoisers.ts";
import { subsetOf } from "../../src/denoisers/_capabilities.ts";

const grid = m.karrasGrid(3);

/** The same denoiser with a method that counts, and answers 0. */
function counting<X>(denoiser: Denoiser<X>): { copy: Denoiser<X>; calls: () => number } {
  let calls = 0;
  const { space } = denoiser;
  const copy: Denoiser<X> = {
    ...denoiser,
    async denoise(x: X, _sigma: Sigma) {
      calls++;
      const values = await space.values(x);
      return {
        mean: space.from(values.fill(0), [values.length / size(denoiser), ...denoiser.shape]),
      };
    },
  };
  return { copy, calls: () => calls };
}

function size(
  { shape }: Denoiser<never> | Denoiser<unknown> | { shape: readonly number[] },
): number {
  return shape.reduce((a, b) => a * b, 1);
}

async function checkReplaced<X>(name: string, denoiser: Denoiser<X>): Promise<void> {
  const { copy, calls } = counting(denoiser);
  const { x, denoised } = await m.sample(copy, {
    count: 2,
    grid,
    sampler: m.heun(),
    output: "tensor",
  });
  assert.equal(calls(), 5, `${name}: heun makes 5 evaluations of 3 steps`);
  assert.ok((await denoiser.space.values(x)).every((v) => v === 0), name);
  const { copy: base, calls: wrapped } = counting(denoiser);
  const over = await m.smoothed(base, { bandwidth: 0.1 });
  const { x: y, denoised: z } = await m.sample(over, { count: 2, grid, output: "tensor" });
  assert.equal(wrapped(), 3, `${name}, smoothed`);
  denoiser.space.dispose(x, denoised, y, z);
  // What would go around the method is not to be had of the copy.
  assert.throws(() => subsetOf(copy, "test"), /cannot be restricted/, name);
  await assert.rejects(
    m.smoothed(copy, { bandwidth: 0.1, drawKind: "gumbel" }),
    TypeError,
    name,
  );
}

for (const [name, make] of Object.entries(FLOAT64)) {
  Deno.test(`a replaced method of ${name}() is the one that is called`, async () => {
    await checkReplaced(name, await make());
  });
}

Deno.test("a replaced method of any denoiser on tensors is the one that is called", async () => {
  using device = await m.openDevice("wasm");
  for (const [name, make] of Object.entries(onTensors(device))) {
    await checkReplaced(name, await make());
  }
});

Deno.test("golden subsets and estimates refuse a base whose method was replaced", async () => {
  using device = await m.openDevice("wasm");
  using exact = await m.optimal(images, { device });
  const { copy } = counting<AnyTensor>(exact);
  const refused = { name: "TypeError", message: /cannot be restricted to some items/ };
  await assert.rejects(m.goldenSubset(copy), refused);
  await assert.rejects(m.goldenSubset(copy, { tolerance: 1 }), refused);
  await assert.rejects(m.tiledGoldenSubset(copy), refused);
  await assert.rejects(
    m.neighbourEstimator({ ...exact, ...copy } as m.OptimalDenoiser),
    refused,
  );
  // In place, and after the wrapper was made.
  using golden = await m.goldenSubset(exact);
  exact.denoise = () => Promise.reject(new RangeError("replaced"));
  const x = m.tensorSpace.from(images.values(0), [1, ...images.shape]);
  await assert.rejects(golden.denoise(x, 1), refused);
  x.dispose();
});

Deno.test("a copy with the same method is the same denoiser", async () => {
  using device = await m.openDevice("wasm");
  using exact = await m.optimal(points, { device });
  using golden = await m.goldenSubset({ ...exact, label: "renamed" });
  assert.match(golden.label, /renamed/);
});

Deno.test("the two lists hold every function that returns a denoiser", async () => {
  using device = await m.openDevice("wasm");
  const listed = new Set([...Object.keys(FLOAT64), ...Object.keys(onTensors(device))]);
  const missing: string[] = [];
  const folders = ["", "gaussian/", "golden/", "local/"];
  for (const folder of folders) {
    const source = new URL(`../../src/denoisers/${folder}`, import.meta.url);
    for await (const { name, isDirectory } of Deno.readDir(source)) {
      if (isDirectory) assert.ok(folders.includes(`${folder}${name}/`), name);
      if (name.startsWith("_") || !name.endsWith(".ts")) continue;
      const text = await Deno.readTextFile(new URL(name, source));
      const declared = text.matchAll(
        /^export (?:async )?function (\w+)[^{]*?\): (?:Promise<)?(\w*Denoiser|PcaLocality|GoldenSubset)\b/gm,
      );
      for (const [, found] of declared) {
        // Not exported by the package, or reached by those above.
        const reached = [
          "baseOf",
          "gaussianOver",
          "mixtureOver",
          "optimalOver",
          "smoothedBy",
          "windowDenoiser",
        ];
        if (!listed.has(found) && !reached.includes(found)) missing.push(found);
      }
    }
  }
  assert.deepEqual(missing, []);
});
