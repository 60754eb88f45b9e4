import * as m from "@closedform/diffusion";
import assert from "node:assert/strict";

Deno.test("a scheduled subset that misses what is nearest by more nats than numbers hold bounds its share by 1", async () => {
  using device = await m.openDevice("wasm");
  // A proxy that is misled: it finds the farthest items, and bounds nothing.
  const data = Float32Array.from({ length: 100 }, (_, i) => i);
  const set = new m.Dataset({ data, shape: [1], name: "a line" });
  using exact = await m.optimal(set, device);
  const proxy: m.RetrievalProxy = {
    label: "misled",
    count: 100,
    dimension: 1,
    measure: (x) => {
      const squares = Array.from({ length: x.shape[0] }, () => Float64Array.from(data, (v) => -v));
      return Promise.resolve({ squares, bounds: () => new Float64Array(100) });
    },
    dispose() {},
    [Symbol.dispose]() {},
  };
  for (const sigma of [1e-3, 0.1, 1, 100]) {
    using golden = await m.goldenSubset(exact, set, device, { proxy, k: 10, m: 20, tail: false });
    const x = m.tensorSpace.from([0], [1, 1]);
    const { mean, capturedMass, errorBound, subsetSize } = await golden.denoise(x, sigma);
    const [found] = await m.tensorSpace.values(mean);
    const { mean: [wanted] } = await m.optimalFloat64(set).denoise(Float64Array.of(0), sigma);
    assert.equal(subsetSize[0], 10);
    assert.ok(capturedMass[0] >= 0 && capturedMass[0] <= 0.1, `${capturedMass[0]} at ${sigma}`);
    assert.ok(Math.abs(found - wanted) <= errorBound[0], `${found} ${wanted} ${errorBound[0]}`);
    m.tensorSpace.dispose(x, mean);
  }
});

Deno.test("a golden subset of small regular images runs through a grid that ends far below their distances", async () => {
  using device = await m.openDevice("wasm");
  const set = m.tinyShapes(1000);
  using exact = await m.optimal(set, device);
  using golden = await m.goldenSubset(exact, set, device);
  const { x, denoised, steps } = await m.sample(golden, {
    count: 64,
    sampler: m.heun(),
    grid: m.ddpmGrid(6),
    seed: 1,
  });
  for (const { facts } of steps) assert.ok(facts!.capturedMass!.every((v) => v >= 0 && v <= 1));
  m.tensorSpace.dispose(x, denoised);
});

Deno.test("golden subsets of images of any sides find a proxy", async () => {
  using device = await m.openDevice("wasm");
  for (const [height, width] of [[218, 178], [50, 33], [9, 10], [13, 13], [1, 7]]) {
    const size = height * width, count = 30;
    const data = Uint8Array.from(m.startNoise(1, 0, count, size), (e) => 128 + 40 * e);
    const set = new m.Dataset({ data, shape: [height, width, 1], name: "noise" });
    using exact = await m.optimal(set, device);
    // All items are candidates, so that any proxy gives the same.
    using golden = await m.goldenSubset(exact, set, device, { k: 30, m: 30, tail: false });
    const x = m.tensorSpace.from(set.values(3), [1, height, width, 1]);
    const [a, b] = [await golden.denoise(x, 1), await exact.denoise(x, 1)];
    const [found, wanted] = await Promise.all([a, b].map(({ mean }) => m.tensorSpace.values(mean)));
    found.forEach((v, i) => assert.ok(Math.abs(v - wanted[i]) < 1e-5));
    m.tensorSpace.dispose(x, a.mean, b.mean);
  }
});
