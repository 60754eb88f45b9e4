/** The nearest training items of 64 samples: copies of items, as the exact sampler makes, and the hardest case, noise. */
import { nearestItems, RandomStream } from "@closedform/diffusion";

const COUNT = 50_000, DIMENSION = 3072, SAMPLES = 64;

/** Bytes with the correlations of nothing: every pair is about equally far apart. */
function noiseSet(): Uint8Array {
  const random = new RandomStream({ seed: 1, purpose: "data" });
  const row = Uint8Array.from({ length: 1 << 20 }, () => random.uint32() & 255);
  return Uint8Array.from(
    { length: COUNT * DIMENSION },
    // A prime stride and a slow shift make all rows different.
    (_, i) => row[(i * 7 + (i >>> 14) * 31) & ((1 << 20) - 1)],
  );
}

const points = { data: noiseSet(), dimension: DIMENSION };
const copies = Float32Array.from(
  points.data.subarray(0, SAMPLES * DIMENSION),
  (byte) => byte / 127.5 - 1,
);
const random = new RandomStream({ seed: 2, purpose: "data" });
const fresh = Float32Array.from(copies, () => 2 * random.uniform() - 1);

Deno.bench(
  "nearestItems, 64 copies of items, 50,000 x 3,072 bytes",
  { n: 1, warmup: 0 },
  async () => {
    await nearestItems(copies, points);
  },
);

Deno.bench(
  "nearestItems, 64 samples of noise, 50,000 x 3,072 bytes",
  { n: 1, warmup: 0 },
  async () => {
    await nearestItems(fresh, points);
  },
);
