import type { StateNumbers } from "../../src/compute/batch.ts";
import type { Device, PointSet, Subset, Translations, WindowOptions } from "@closedform/diffusion";
import { DeviceError, RandomStream, readCifar10 } from "@closedform/diffusion";
import { referencePosterior, referenceWindowed } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose, EPS32, posteriorTolerance } from "../_helpers/tolerance.ts";
import { bruteWindows, competition, pixelsOf } from "../_helpers/windows.ts";
import type { BruteWindows } from "../_helpers/windows.ts";

const devices = await testDevices();
const TRANSLATIONS: Translations[] = ["none", "circular", "interior", "border"];
type Shape = [number, number, number];

function images(count: number, shape: Shape, bytes: boolean): PointSet {
  const dimension = shape.reduce((a, b) => a * b);
  const random = new RandomStream({ seed: count * 1000 + dimension, purpose: "data" });
  const values = Float32Array.from({ length: count * dimension }, () => random.normal());
  const byte = (v: number) => Math.max(0, Math.min(255, 128 + 50 * v));
  return { data: bytes ? Uint8Array.from(values, byte) : values, dimension };
}

/** Queries near images from the middle of the set, at noise level `sigma`. */
function noisy(points: PointSet, batch: number, sigma: number, seed = 1): Float32Array {
  const random = new RandomStream({ seed });
  const { data, dimension } = points;
  const first = Math.floor(data.length / dimension / 2) * dimension;
  return Float32Array.from({ length: batch * dimension }, (_, i) => {
    const value = data[(first + i) % data.length];
    return (data instanceof Uint8Array ? value / 127.5 - 1 : value) + sigma * random.normal();
  });
}

/** Compares with the definition, pixel by pixel, within the rounding of a posterior over the patches. */
function assertWindows(
  { mean, logNormaliser }: { mean: StateNumbers; logNormaliser: Float64Array },
  points: PointSet,
  query: Float32Array,
  sigma: number,
  what: BruteWindows,
): void {
  const expected = bruteWindows(points, query, sigma, what);
  const channels = what.shape[2];
  pixelsOf(what.shape).forEach((pixel, p) => {
    const { window, patches, logWeights } = competition(points, query, what, pixel);
    const tolerance = posteriorTolerance(patches, window, sigma);
    const label = `pixel ${pixel}, patch ${what.patch}, sigma ${sigma}, ${what.translations}`;
    const part = (values: ArrayLike<number>) =>
      Array.prototype.slice.call(values, p * channels, (p + 1) * channels);
    assertClose(part(mean), part(expected.mean), tolerance.mean, `mean, ${label}`);
    // Log-weights are float32 in kernels.
    const weight = logWeights.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const level = Math.abs(expected.logNormaliser[p]);
    assertClose(
      [logNormaliser[p]],
      [expected.logNormaliser[p]],
      tolerance.logit + 8 * EPS32 * (1 + weight + level),
      `log normaliser, ${label}`,
    );
  });
}

for (const translations of TRANSLATIONS) {
  testOnDevices(
    devices,
    `windowed() is the float64 posterior per pixel: ${translations}`,
    async (device) => {
      const shapes: Shape[] = translations === "none"
        ? [[6, 6, 1], [7, 5, 3], [5, 9, 2], [1, 6, 1]]
        : [[6, 6, 1], [5, 7, 3], [4, 6, 2]];
      for (const [i, shape] of shapes.entries()) {
        const points = images(translations === "none" ? 70 : 5, shape, i % 2 === 0);
        const store = await device.store(points);
        for (const patch of [1, 3, 5, Infinity]) {
          if (translations === "interior" && patch > Math.min(shape[0], shape[1])) continue;
          for (const sigma of [40, 1, 0.05]) {
            const query = noisy(points, 1, sigma);
            const options = { shape, patch, translations };
            const found = await store.windowed!(query, sigma, options);
            assertWindows(found, points, query, sigma, { shape, patch, translations });
          }
        }
        store.dispose();
      }
    },
  );
}

testOnDevices(
  devices,
  "windowed() of windows that cover the image is the optimal denoiser",
  async (device) => {
    const shape: Shape = [8, 6, 3], points = images(60, shape, true);
    const store = await device.store(points);
    for (const sigma of [20, 1, 0.3]) {
      const query = noisy(points, 1, sigma);
      const expected = referencePosterior(points, query, sigma).mean;
      const tolerance = posteriorTolerance(points, query, sigma).mean;
      for (const patch of [15, Infinity]) {
        const { mean } = await store.windowed!(query, sigma, { shape, patch });
        assertClose(mean, expected, tolerance, `patch ${patch}, sigma ${sigma}`);
      }
    }
    store.dispose();
  },
);

testOnDevices(
  devices,
  "windowed() restricted to rows is that of these rows, their weights added to logits",
  async (device) => {
    const shape: Shape = [5, 6, 1], points = images(40, shape, true);
    const store = await device.store(points);
    const subsets: Subset[] = [
      { rows: Uint32Array.of(3) },
      { rows: Uint32Array.of(31, 20, 2), logWeights: Float64Array.of(0.3, -2, 4) },
      { rows: Uint32Array.from({ length: 39 }, (_, i) => 39 - i) },
    ];
    for (const translations of TRANSLATIONS) {
      for (const sigma of [10, 0.5]) {
        const queries = noisy(points, 3, sigma);
        const options = { shape, patch: 3, translations, subsets };
        const found = await store.windowed!(queries, sigma, options);
        subsets.forEach((subset, q) => {
          const part = {
            mean: found.mean.slice(30 * q, 30 * q + 30),
            logNormaliser: found.logNormaliser.slice(30 * q, 30 * q + 30),
          };
          const query = queries.slice(30 * q, 30 * q + 30);
          assertWindows(part, points, query, sigma, { shape, patch: 3, translations, subset });
        });
      }
    }
    const query = noisy(points, 1, 1);
    const whole = await store.windowed!(query, 1, { shape, patch: 3 });
    const all = { rows: Uint32Array.from({ length: 40 }, (_, i) => i) };
    const same = await store.windowed!(query, 1, { shape, patch: 3, subsets: [all] });
    assert.deepEqual(same.mean, whole.mean);
    store.dispose();
  },
);

testOnDevices(
  devices,
  "windowed() gives a query the same bits alone and in a batch, with a sigma and a patch of its own",
  async (device) => {
    for (const translations of ["none", "border"] as const) {
      const shape: Shape = [6, 7, 2];
      const points = images(translations === "none" ? 150 : 4, shape, true);
      const store = await device.store(points);
      const batch = 35, d = points.dimension;
      const sigmas = Array.from({ length: batch }, (_, q) => 10 ** (1.5 - q / 12));
      const patches = Array.from({ length: batch }, (_, q) => 1 + 2 * (q % 5));
      const queries = noisy(points, batch, 1);
      const options = { shape, translations };
      const together = await store.windowed!(queries, sigmas, { ...options, patch: patches });
      for (const q of [0, 7, 34]) {
        const query = queries.slice(q * d, (q + 1) * d);
        const alone = await store.windowed!(query, sigmas[q], { ...options, patch: patches[q] });
        assert.deepEqual(alone.mean, together.mean.slice(q * d, (q + 1) * d));
        assert.deepEqual(alone.logNormaliser, together.logNormaliser.slice(q * 42, (q + 1) * 42));
      }
      store.dispose();
    }
  },
);

testOnDevices(
  devices,
  "windowed() of a region is that part of the whole",
  async (device) => {
    const shape: Shape = [9, 10, 3];
    for (const translations of TRANSLATIONS) {
      const points = images(translations === "none" ? 80 : 3, shape, true);
      const store = await device.store(points);
      const query = noisy(points, 1, 0.4);
      for (const patch of [1, 3, 7]) {
        const options = { shape, patch, translations };
        const whole = await store.windowed!(query, 0.4, options);
        for (
          const region of [
            { top: 0, left: 0, height: 1, width: 1 },
            { top: 2, left: 3, height: 4, width: 5 },
            { top: 5, left: 5, height: 4, width: 5 },
          ]
        ) {
          const { mean, logNormaliser } = await store.windowed!(query, 0.4, { ...options, region });
          let at = 0;
          for (let y = region.top; y < region.top + region.height; y++) {
            for (let x = region.left; x < region.left + region.width; x++, at++) {
              const p = y * shape[1] + x;
              const { window, patches } = competition(points, query, { ...options, shape }, [y, x]);
              const tolerance = posteriorTolerance(patches, window, 0.4);
              assertClose(
                mean.slice(3 * at, 3 * at + 3),
                whole.mean.slice(3 * p, 3 * p + 3),
                2 * tolerance.mean,
                `${translations} ${patch} ${y} ${x}`,
              );
              assertClose(
                [logNormaliser[at]],
                [whole.logNormaliser[p]],
                2 * tolerance.logit,
                "log",
              );
            }
          }
          assert.equal(mean.length, 3 * at);
        }
      }
      store.dispose();
    }
  },
);

testOnDevices(
  devices,
  "windowed() does not depend on the order of the data",
  async (device) => {
    const shape: Shape = [6, 6, 1], points = images(90, shape, true);
    const reversed = new Uint8Array(points.data.length);
    for (let i = 0; i < 90; i++) {
      reversed.set(points.data.slice(36 * i, 36 * i + 36), 36 * (89 - i));
    }
    for (const sigma of [30, 0.7, 0.1]) {
      const query = noisy(points, 1, sigma);
      const [a, b] = await Promise.all([points, { ...points, data: reversed }].map(async (set) => {
        const store = await device.store(set);
        const { mean } = await store.windowed!(query, sigma, { shape, patch: 3 });
        store.dispose();
        return mean;
      }));
      pixelsOf(shape).forEach((pixel, p) => {
        const { window, patches } = competition(points, query, { shape, patch: 3 }, pixel);
        const tolerance = posteriorTolerance(patches, window, sigma).mean;
        assertClose([a[p]], [b[p]], 2 * tolerance, `pixel ${pixel}`);
      });
    }
  },
);

/** A logit from a summed-area table in float32, which cancels. */
function float32TableLogit(
  squares: Float32Array,
  width: number,
  [y, x]: [number, number],
  radius: number,
  sigma: number,
): number {
  const pitch = width + 1, table = new Float32Array(pitch * pitch);
  for (let v = 0; v < width; v++) {
    let sum = 0;
    for (let u = 0; u < width; u++) {
      sum = Math.fround(sum + squares[v * width + u]);
      table[(v + 1) * pitch + u + 1] = table[v * pitch + u + 1] + sum;
    }
  }
  const at = (v: number, u: number) => table[v * pitch + u];
  const [bottom, right, top, left] = [y + radius + 1, x + radius + 1, y - radius, x - radius];
  const sum = Math.fround(Math.fround(at(bottom, right) - at(top, right)) - at(bottom, left)) +
    at(top, left);
  return -sum / (2 * sigma * sigma);
}

testOnDevices(
  devices,
  "windowed() finds a matching window in an otherwise different image, where a float32 table cancels",
  async (device) => {
    const sigma = 0.01;
    for (const side of [32, 64]) {
      const shape: Shape = [side, side, 3], d = side * side * 3;
      for (const patch of [3, 7, 17]) {
        const radius = (patch - 1) / 2;
        const random = new RandomStream({ seed: side + patch });
        const y = side - radius - 2, x = side - radius - 3;
        // Two images that differ everywhere but in the window, and in it by a byte here and there.
        const data = new Uint8Array(2 * d).map(() => random.below(256));
        const query = new Float32Array(d);
        for (let c = 0; c < d; c++) {
          const [v, u] = [Math.floor(c / 3 / side), Math.floor(c / 3) % side];
          if (Math.abs(v - y) <= radius && Math.abs(u - x) <= radius) {
            data[d + c] = Math.max(0, data[c] - (random.below(patch * patch) < 3 ? 1 : 0));
          }
          query[c] = data[c] / 127.5 - 1 + sigma * random.normal();
        }
        const exact = [0, 1].map((i) => {
          let square = 0;
          for (let c = 0; c < d; c++) {
            const [v, u] = [Math.floor(c / 3 / side), Math.floor(c / 3) % side];
            if (Math.abs(v - y) > radius || Math.abs(u - x) > radius) continue;
            square += (query[c] - (data[i * d + c] / 127.5 - 1)) ** 2;
          }
          return -square / (2 * sigma * sigma);
        });
        const store = await device.store({ data, dimension: d });
        const region = { top: y, left: x, height: 1, width: 1 };
        const gaps = await Promise.all([0, 1].map(async (i) => {
          const subsets = [{ rows: Uint32Array.of(i) }];
          const found = await store.windowed!(query, sigma, { shape, patch, region, subsets });
          return found.logNormaliser[0] - exact[i];
        }));
        store.dispose();
        // The bound of the specification; measured 4e-5.
        assertClose(gaps, [0, 0], 1e-3, `logits, side ${side}, patch ${patch}`);
        const squares = Float32Array.from({ length: side * side }, (_, p) => {
          let square = 0;
          for (let c = 3 * p; c < 3 * p + 3; c++) {
            square += (query[c] - (data[d + c] / 127.5 - 1)) ** 2;
          }
          return square;
        });
        const cancelled = float32TableLogit(squares, side, [y, x], radius, sigma) - exact[1];
        assert.ok(Math.abs(cancelled) > 1e-2, `a float32 table is off by ${cancelled}`);
      }
    }
  },
);

testOnDevices(
  devices,
  "windowed() keeps up when each image is nearer than the one before",
  async (device) => {
    // Constant images that come closer to the query, by a few nats each, and so large that every device takes them in pieces.
    const shape: Shape = [64, 48, 1], count = 400, d = 64 * 48;
    const data = Float32Array.from(
      { length: count * d },
      (_, i) => 3 - 3 * Math.floor(i / d) / count,
    );
    const points = { data, dimension: d };
    const store = await device.store(points);
    const query = new Float32Array(d).fill(-0.5);
    const region = { top: 30, left: 46, height: 2, width: 2 };
    for (const sigma of [0.05, 0.2, 2]) {
      const options = { shape, patch: 3, region };
      const found = await store.windowed!(query, sigma, options);
      const expected = referenceWindowed(points, query, sigma, options);
      for (let k = 0; k < 4; k++) {
        const pixel: [number, number] = [30 + (k >> 1), 46 + k % 2];
        const { window, patches } = competition(points, query, { shape, patch: 3 }, pixel);
        const tolerance = posteriorTolerance(patches, window, sigma);
        assertClose([found.mean[k]], [expected.mean[k]], tolerance.mean, `mean, sigma ${sigma}`);
        assertClose(
          [found.logNormaliser[k]],
          [expected.logNormaliser[k]],
          tolerance.logit,
          `log normaliser, sigma ${sigma}`,
        );
      }
    }
    store.dispose();
  },
);

testOnDevices(
  devices.filter(({ kind }) => kind !== "float64"),
  "windowed() sums the even weights of many images as exactly as float32 does",
  async (device) => {
    const shape: Shape = [2, 4, 1], points = images(30_000, shape, true);
    const store = await device.store(points);
    const query = noisy(points, 1, 300);
    const { mean } = await store.windowed!(query, 300, { shape, patch: 3 });
    const expected = referenceWindowed(points, query, 300, { shape, patch: 3 }).mean;
    // Sums in three levels, of a hundred terms or so each: 3 √100 roundings of sums up to 255, and of weights.
    assertClose(mean, expected, 30 * 2 * EPS32 * 2, "mean");
    store.dispose();
  },
);

if (hasData("cifar-10-batches-bin")) {
  const set = (await readCifar10(dataPath("cifar-10-batches-bin"))).take(120);
  testOnDevices(
    devices.filter(({ kind }) => kind !== "float64"),
    "windowed() is the float64 posterior per pixel on CIFAR-10",
    async (device) => {
      const store = await device.store(set);
      const { shape } = set;
      for (const [sigma, patch] of [[60, 25], [3, 15], [0.7, 7], [0.1, 3], [0.01, 3]]) {
        const query = noisy(set, 1, sigma);
        const found = await store.windowed!(query, sigma, { shape, patch });
        const expected = referenceWindowed(set, query, sigma, { shape, patch });
        const pixels: [number, number][] = [[0, 0], [5, 31], [16, 17], [30, 12]];
        for (const [y, x] of pixels) {
          const what = { shape: shape as Shape, patch };
          const { window, patches } = competition(set, query, what, [y, x]);
          const tolerance = posteriorTolerance(patches, window, sigma);
          const p = y * 32 + x;
          assertClose(
            found.mean.slice(3 * p, 3 * p + 3),
            expected.mean.slice(3 * p, 3 * p + 3),
            tolerance.mean,
            `mean, sigma ${sigma}, pixel ${y}, ${x}`,
          );
          assertClose(
            [found.logNormaliser[p]],
            [expected.logNormaliser[p]],
            tolerance.logit,
            `log normaliser, sigma ${sigma}, pixel ${y}, ${x}`,
          );
        }
      }
      store.dispose();
    },
  );
}

/** A job of some seconds on every device. */
async function longJob(device: Device, options: Partial<WindowOptions>): Promise<void> {
  const shape: Shape = [28, 28, 1];
  const data = new Uint8Array(784 * (device.kind === "wasm" ? 2000 : 60)).map((_, i) =>
    i * i % 251
  );
  const store = await device.store({ data, dimension: 784 });
  try {
    await store.windowed!(new Float32Array(784), 1, {
      shape,
      patch: 5,
      translations: "circular",
      ...options,
    });
  } finally {
    store.dispose();
  }
}

testOnDevices(devices, "windowed() hears a signal within two seconds", async (device) => {
  const reason = new RangeError("enough"), abort = new AbortController();
  const job = longJob(device, { signal: abort.signal });
  job.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = performance.now();
  abort.abort(reason);
  await assert.rejects(job, (error) => error === reason);
  assert.ok(performance.now() - before < 2000);
  await assert.rejects(longJob(device, { signal: AbortSignal.abort(reason) }), (e) => e === reason);
});

testOnDevices(devices, "windowed() reports its progress", async (device) => {
  const abort = new AbortController(), told: number[] = [];
  const onProgress = (done: number, all: number) => {
    told.push(done / all);
    if (told.length === 3) abort.abort();
  };
  await assert.rejects(longJob(device, { signal: abort.signal, onProgress }));
  assert.ok(told[0] > 0 && told[1] >= told[0] && told[2] >= told[1] && told[2] < 1, `${told}`);
});

testOnDevices(
  devices,
  "windowed() refuses what it cannot answer",
  (device) =>
    withoutLeaks(async () => {
      const shape: Shape = [2, 3, 1];
      const store = await device.store(images(5, shape, true));
      const ask = (
        options: object = {},
        query = [0, 0, 0, 0, 0, 0],
        sigma: number | number[] = 1,
      ) => store.windowed!(Float32Array.from(query), sigma, { shape, patch: 1, ...options });
      await ask();
      await assert.rejects(ask({ patch: 2 }), RangeError);
      await assert.rejects(ask({ patch: [1, 3] }), TypeError);
      await assert.rejects(ask({ shape: [3, 3, 1] }), TypeError);
      await assert.rejects(ask({ translations: "interior", patch: 3 }), RangeError);
      await assert.rejects(ask({ subsets: [{ rows: Uint32Array.of(5) }] }), RangeError);
      await assert.rejects(ask({ region: { top: 0, left: 0, height: 3, width: 1 } }), RangeError);
      await assert.rejects(ask({}, [0, NaN, 0, 0, 0, 0]), RangeError);
      await assert.rejects(ask({}, [0]), TypeError);
      await assert.rejects(ask({}, []), RangeError);
      await assert.rejects(ask({}, undefined, 0), RangeError);
      await assert.rejects(ask({}, undefined, [1, 1]), TypeError);
      if (device.kind !== "float64") {
        await assert.rejects(ask({}, [3e38, 0, 0, 0, 0, 0]), RangeError);
      }
      await ask();
      store.dispose();
      await assert.rejects(ask(), DeviceError);
    }),
);

testOnDevices(
  devices,
  "windowed() keeps the logits of queries far from all images",
  async (device) => {
    const shape: Shape = [5, 4, 3];
    for (const [bytes, offset] of [[true, 0], [false, 0], [false, 1000]] as const) {
      const made = images(30, shape, bytes), { dimension } = made;
      const data = bytes ? made.data : made.data.map((v) => v + offset) as Float32Array;
      const points: PointSet = { data, dimension };
      const store = await device.store(points);
      // All of a query is far, or one pixel of it.
      for (const reach of [dimension, shape[2]]) {
        const size = 1e4;
        const query = Float32Array.from(
          { length: dimension },
          (_, c) => offset + (c < reach ? (c % 2 ? 1 : -0.7) * size : 0.1),
        );
        // Numbers are within 4 of the middle, as far as they go.
        const radius = 4 * Math.sqrt(dimension), away = size * Math.sqrt(dimension);
        const sigma = Math.sqrt(away * radius / 5);
        for (const translations of TRANSLATIONS) {
          const options: WindowOptions = { shape, patch: 3, translations };
          const actual = await store.windowed!(query, sigma, options);
          const expected = referenceWindowed(points, query, sigma, options);
          // At most 80 roundings of terms of size (x − a)(x − a − 2(q − a)), and float32 weights.
          const logit = 80 * EPS32 * radius * (radius + 2 * away) / (2 * sigma * sigma);
          assertClose(actual.logNormaliser, expected.logNormaliser, logit + 1e-5, translations);
          // The mean moves by half the range times the error of a logit; then sums of numbers that far from 0.
          assertClose(
            actual.mean,
            expected.mean,
            4 * logit + 100 * EPS32 * (offset + 4),
            `mean, ${translations}`,
          );
        }
      }
      store.dispose();
    }
  },
);
