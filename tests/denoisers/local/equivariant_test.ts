import { Dataset, equivariant, local, moons, RandomStream, readMnist } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../../_helpers/data.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose } from "../../_helpers/tolerance.ts";
import { bruteWindows } from "../../_helpers/windows.ts";
import { subsetOf } from "../../../src/denoisers/_capabilities.ts";
import { equivariantFloat64, localFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();
const FLOAT64 = 1e-12;

function images(count: number, height: number, width: number): Dataset {
  const random = new RandomStream({ seed: height * width, purpose: "data" });
  const data = Uint8Array.from({ length: count * height * width }, () => random.below(256));
  return new Dataset({ data, shape: [height, width, 1], name: "noise" });
}

function noisy({ data, dimension }: Dataset, sigma: number, batch = 1): Float32Array {
  const random = new RandomStream({ seed: 2 });
  return Float32Array.from(
    { length: batch * dimension },
    (_, i) => data[i] / 127.5 - 1 + sigma * random.normal(),
  );
}

/** Images moved up and to the left, around the torus. */
function roll<A extends Float32Array | Float64Array>(
  values: A,
  width: number,
  dy: number,
  dx: number,
): A {
  const height = values.length / width;
  return values.map((_, p) =>
    values[(Math.floor(p / width) + dy) % height * width + (p % width + dx) % width]
  ) as A;
}

/** All translates of a set, as a set. */
function translates(set: Dataset): Dataset {
  const [height, width] = set.shape;
  const rows: number[] = [];
  for (let i = 0; i < set.count; i++) {
    const image = Float32Array.from(set.data.subarray(i * set.dimension, (i + 1) * set.dimension));
    for (let dy = 0; dy < height; dy++) {
      for (let dx = 0; dx < width; dx++) rows.push(...roll(image, width, dy, dx));
    }
  }
  return new Dataset({ data: Uint8Array.from(rows), shape: set.shape, name: "translates" });
}

testOnDevices(
  devices,
  "equivariant() is the float64 denoiser, for every dictionary",
  (device) =>
    withoutLeaks(async () => {
      const set = images(6, 6, 7);
      const query = noisy(set, 0.5);
      for (const dictionary of ["circular", "interior", "border"] as const) {
        const options = { windows: 3, dictionary };
        using denoiser = await equivariant(set, { device, ...options });
        const x = tensorSpace.from(query, [1, 6, 7, 1]);
        const denoised = (await denoiser.denoise(x, 0.5)).mean;
        const expected = (await equivariantFloat64(set, options)
          .denoise(Float64Array.from(query), 0.5)).mean;
        const brute = bruteWindows(set, query, 0.5, {
          shape: [6, 7, 1],
          patch: 3,
          translations: dictionary,
        });
        assertClose(expected, brute.mean, FLOAT64, dictionary);
        // Logits of some 60 nats at most, each to 2^-21 of itself.
        assertClose(await tensorSpace.values(denoised), expected, 60 * 2 ** -21, dictionary);
        tensorSpace.dispose(x, denoised);
      }
    }),
);

Deno.test("equivariantFloat64() of whole images is the optimal denoiser of all translates", async () => {
  for (const [height, width] of [[7, 7], [6, 4]]) {
    const set = images(3, height, width);
    const x = Float64Array.from(noisy(set, 1, 2));
    for (const sigma of [3, 0.4]) {
      const exact = (await optimalFloat64(translates(set)).denoise(x, sigma)).mean;
      for (const patch of [Math.max(height, width) | 1, Infinity]) {
        const denoiser = equivariantFloat64(set, { windows: patch });
        assertClose((await denoiser.denoise(x, sigma)).mean, exact, FLOAT64, `${height} ${patch}`);
      }
    }
  }
});

testOnDevices(
  devices,
  "equivariant() commutes with translations, of the query and of the data",
  (device) =>
    withoutLeaks(async () => {
      const set = images(5, 6, 8);
      const query = noisy(set, 0.4);
      const rows = [0, 1, 2, 3, 4].map((i) =>
        Float32Array.from(set.data.slice(48 * i, 48 * i + 48))
      );
      const moved = new Dataset({
        data: Uint8Array.from(rows.flatMap((image, i) => [...roll(image, 8, i, 2 * i)])),
        shape: set.shape,
        name: "moved",
      });
      const run = async (data: Dataset, values: Float32Array) => {
        using denoiser = await equivariant(data, { device, windows: 5 });
        const x = tensorSpace.from(values, [1, 6, 8, 1]);
        const denoised = (await denoiser.denoise(x, 0.4)).mean;
        const out = Float32Array.from(await tensorSpace.values(denoised));
        tensorSpace.dispose(x, denoised);
        return out;
      };
      const plain = await run(set, query);
      const tolerance = 2 * 200 * 2 ** -21;
      assertClose(await run(set, roll(query, 8, 2, 3)), roll(plain, 8, 2, 3), tolerance, "query");
      assertClose(await run(moved, query), plain, tolerance, "data");
    }),
);

testOnDevices(
  devices,
  "equivariant() with broken boundaries and windows as large as the image is local()",
  (device) =>
    withoutLeaks(async () => {
      const set = images(12, 5, 5);
      const x = tensorSpace.from(noisy(set, 0.6), [1, 5, 5, 1]);
      const state = Float64Array.from(noisy(set, 0.6));
      for (const patch of [5, 7, 9, Infinity]) {
        const options = { windows: patch, dictionary: "border" } as const;
        assertClose(
          (await equivariantFloat64(set, options).denoise(state, 0.6)).mean,
          (await localFloat64(set, { windows: patch }).denoise(state, 0.6)).mean,
          FLOAT64,
          `float64, patch ${patch}`,
        );
        using broken = await equivariant(set, { device, ...options });
        using same = await local(set, { device, windows: patch });
        const [a, b] = [(await broken.denoise(x, 0.6)).mean, (await same.denoise(x, 0.6)).mean];
        assertClose(
          await tensorSpace.values(a),
          await tensorSpace.values(b),
          1e-5,
          `patch ${patch}`,
        );
        tensorSpace.dispose(a, b);
      }
      x.dispose();
    }),
);

Deno.test("equivariantFloat64() tends to its mean from pure noise", async () => {
  const set = images(4, 6, 5);
  for (const dictionary of ["circular", "interior", "border"] as const) {
    const denoiser = equivariantFloat64(set, { windows: 3, dictionary });
    const sigma = 1e7;
    const denoised = (await denoiser.denoise(Float64Array.from(noisy(set, sigma)), sigma)).mean;
    // The difference is of the order of the number of pixels in a window over sigma.
    assertClose(denoised, denoiser.mean!(), 1e-5, dictionary);
  }
  const [first, ...rest] = equivariantFloat64(set, { windows: 3 }).mean!();
  assertClose(rest, new Float64Array(29).fill(first), FLOAT64, "the same everywhere");
});

Deno.test("equivariant() says how many images it holds, taken evenly", async () => {
  const set = images(100, 4, 4);
  const few = equivariantFloat64(set, { limit: 25, windows: 3 });
  assert.equal(few.count, 25);
  assert.equal(
    few.label,
    "equivariant local denoiser (ELS) of 25 of 100 items of noise, windows of 3x3",
  );
  const every = set.subset(Array.from({ length: 25 }, (_, i) => 4 * i));
  const x = Float64Array.from(noisy(set, 1));
  assert.deepEqual(
    (await few.denoise(x, 1)).mean,
    (await equivariantFloat64(every, { windows: 3 }).denoise(x, 1)).mean,
  );
  const zeros = (count: number, side: number) =>
    new Dataset({ data: new Uint8Array(count * side ** 2), shape: [side, side, 1], name: "zeros" });
  assert.equal(equivariantFloat64(zeros(1100, 32)).count, 1024);
  assert.equal(equivariantFloat64(zeros(1100, 32), { limit: Infinity }).count, 1100);
  assert.equal(equivariantFloat64(zeros(1100, 8)).count, 1100);
  assert.match(
    equivariantFloat64(zeros(2, 8), { windows: Infinity }).label,
    /^equivariant denoiser \(ES\) of zeros, windows that hold the image/,
  );
  assert.match(
    equivariantFloat64(zeros(2, 8), { windows: 3, dictionary: "border" }).label,
    /^boundary-broken/,
  );
});

testOnDevices(
  devices,
  "equivariant() denoises on the patches of some images, in a region",
  (device) =>
    withoutLeaks(async () => {
      const set = images(9, 6, 6);
      using denoiser = await equivariant(set, { device, windows: 3 });
      const x = tensorSpace.from(noisy(set, 1, 2), [2, 6, 6, 1]);
      const region = { top: 2, left: 1, height: 3, width: 4 };
      const subsets = [
        { rows: Uint32Array.of(3, 8) },
        { rows: Uint32Array.of(0, 1, 2), logWeights: Float64Array.of(0, 1, -1) },
      ];
      const part = await subsetOf(denoiser, "test").denoiseOn(x, 1, subsets, { region });
      const expected = await subsetOf(equivariantFloat64(set, { windows: 3 }), "test")
        .denoiseOn(Float64Array.from(noisy(set, 1, 2)), 1, subsets, { region });
      assertClose(await tensorSpace.values(part), expected, 1e-5, "region");
      tensorSpace.dispose(x, part);
    }),
);

if (hasData("mnist")) {
  const mnist = (await readMnist(dataPath("mnist"))).take(24);
  testOnDevices(
    devices.filter(({ kind }) => kind === "wasm"),
    "equivariant() is the float64 denoiser on MNIST",
    (device) =>
      withoutLeaks(async () => {
        for (const dictionary of ["circular", "border"] as const) {
          const part = mnist.take(2), options = { windows: 11, dictionary };
          using denoiser = await equivariant(part, { device, ...options });
          const query = noisy(mnist, 0.3);
          const x = tensorSpace.from(query, [1, ...mnist.shape]);
          const denoised = (await denoiser.denoise(x, 0.3)).mean;
          const expected = (await equivariantFloat64(part, options)
            .denoise(Float64Array.from(query), 0.3)).mean;
          // Patches of 121 pixels lie some 60 nats away, each to 2^-21 of itself.
          assertClose(await tensorSpace.values(denoised), expected, 200 * 2 ** -21, dictionary);
          tensorSpace.dispose(x, denoised);
        }
      }),
  );
}

testOnDevices(
  devices,
  "equivariant() hears a signal within two seconds and reports progress",
  (device) =>
    withoutLeaks(async () => {
      const set = images(device.kind === "wasm" ? 1500 : 60, 28, 28);
      const told: number[] = [];
      const onProgress = (done: number, all: number) => told.push(done / all);
      using denoiser = await equivariant(set, { device, windows: 7, onProgress });
      const x = tensorSpace.from(noisy(set, 1), [1, 28, 28, 1]);
      const abort = new AbortController(), reason = new RangeError("enough");
      const work = denoiser.denoise(x, 1, { signal: abort.signal });
      work.catch(() => {});
      while (told.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
      const before = performance.now();
      abort.abort(reason);
      await assert.rejects(work, (error) => error === reason);
      assert.ok(performance.now() - before < 2000);
      assert.ok(told.every((v, i) => v >= (told[i - 1] ?? 0) && v <= 1));
      x.dispose();
    }),
);

testOnDevices(
  devices,
  "equivariant() refuses what it cannot do",
  (device) =>
    withoutLeaks(async () => {
      const set = images(3, 4, 4);
      await assert.rejects(equivariant(moons(10), { device }), TypeError);
      await assert.rejects(equivariant(set, { device, class: 1 }), RangeError);
      await assert.rejects(equivariant(set, { device, windows: 2 }), RangeError);
      for (const limit of [0, 1.5, -1, NaN]) {
        await assert.rejects(equivariant(set, { device, limit }), RangeError);
      }
      using denoiser = await equivariant(set, { device, windows: 5, dictionary: "interior" });
      const x = tensorSpace.from(noisy(set, 1), [1, 4, 4, 1]);
      await assert.rejects(denoiser.denoise(x, 1), RangeError);
      x.dispose();
    }),
);
