import {
  goldenSubset,
  nearestItems,
  neighbourEstimator,
  openDevice,
  optimal,
  tinyShapes,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { AnyTensor, Dataset, Denoiser, Device } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { optimalFloat64 } from "../_helpers/float64.ts";

const set = tinyShapes(60);
/** An item of class 2 that is not at the place in its class that it has in the whole set. */
const item = set.classItems(2)[4];

type Make = (device: Device, data: Dataset, options: { class?: number }) => Promise<
  Denoiser<AnyTensor>
>;

/** Denoisers that name an item, over a part of a set or over a class of it. */
const MAKES: Record<string, Make> = {
  optimal: (device, data, options) => optimal(data, { device, ...options }),
  "goldenSubset, all of it": (device, data, options) =>
    goldenSubset(data, { device, ...options, tolerance: 1e-3 }),
  "goldenSubset, a schedule": async (device, data, options) =>
    goldenSubset(await optimal(data, { device, ...options }), { k: 3 }),
  neighbourEstimator: async (device, data, options) =>
    await neighbourEstimator(await optimal(data, { device, ...options }), { neighbours: 3 }),
};

/** The class as an option, as a part, as a part of a part, and as an option of a part. */
const PARTS: Record<string, [Dataset, { class?: number }]> = {
  "the class by an option": [set, { class: 2 }],
  "a part of the class": [set.classSubset(2), {}],
  "a part of a part": [
    set.subset(Uint32Array.from({ length: 58 }, (_, i) => 59 - i)).classSubset(2).take(50),
    {},
  ],
  "the class of a part": [set.subset(Uint32Array.from({ length: 58 }, (_, i) => 59 - i)), {
    class: 2,
  }],
};

for (const [kind, make] of Object.entries(MAKES)) {
  for (const [part, [data, options]] of Object.entries(PARTS)) {
    Deno.test(`${kind} of ${part}: topIndex is the place in the whole set`, async () => {
      using device = await openDevice("wasm");
      const denoiser = await make(device, data, options);
      const x = tensorSpace.from(set.values(item), [1, ...set.shape]);
      // At little noise one item weighs; at much all are looked at.
      const { mean, topIndex } = await denoiser.denoise(x, 0.1);
      assert.deepEqual([...topIndex!], [item]);
      const all = await denoiser.denoise(x, 30);
      assert.equal(set.labels![all.topIndex![0]], 2);
      tensorSpace.dispose(x, mean, all.mean);
    });
  }
}

for (const [part, [data, options]] of Object.entries(PARTS)) {
  Deno.test(`optimalFloat64() and nearestItems() of ${part} name places in the whole set`, async () => {
    const x = Float64Array.from(set.values(item));
    const { topIndex } = await optimalFloat64(data, options).denoise(x, 0.1);
    assert.deepEqual([...topIndex!], [item]);
    const chosen = options.class === undefined ? data : data.classSubset(options.class);
    const { nearest, second } = await nearestItems(x, chosen);
    assert.deepEqual([...nearest], [item]);
    // The second nearest of the class by the whole set.
    const distances = [...set.labels!].map((label, i) =>
      label === 2 && i !== item && [...chosen.items!].includes(i)
        ? Math.hypot(...set.values(i).map((v, c) => v - x[c]))
        : Infinity
    );
    assert.equal(second[0], distances.indexOf(Math.min(...distances)));
  });
}
