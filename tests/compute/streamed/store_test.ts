import type { DataStore, Device, PointSet, PointSource, Posterior } from "@closedform/diffusion";
import {
  Dataset,
  ddpmGrid,
  DeviceError,
  encodeNpy,
  moons,
  openDevice,
  openRows,
  optimal,
  sample,
  shapes,
  startNoise,
  uniformTGrid,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import {
  referenceNeighbours,
  referencePosterior,
  streamedMean,
  streamStore,
} from "@closedform/diffusion/compute";
import type { AnyTensor, PosteriorFacts } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withFolder, write } from "../../_helpers/files.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, EPS32, posteriorTolerance } from "../../_helpers/tolerance.ts";

const devices = await testDevices();
const BATCH = 3;

/** Rows in memory behind the interface of rows elsewhere; counts what was read. */
function sourceOf(points: PointSet): PointSource & { reads: number[] } {
  const { data, dimension, range } = points;
  const reads: number[] = [];
  return {
    count: data.length / dimension,
    dimension,
    bytes: data instanceof Uint8Array,
    ...(range && { range }),
    reads,
    async read(first, rows, target) {
      reads.push(rows);
      // As slow as a file: the rows are there later.
      await new Promise((resolve) => setTimeout(resolve));
      target.set(data.subarray(first * dimension, (first + rows) * dimension));
    },
  };
}

function noisy({ data, dimension }: PointSet, sigma: number): Float32Array {
  return Float32Array.from(startNoise(3, 0, BATCH, dimension), (e, at) => {
    const v = data[at * 7 % data.length];
    return (data instanceof Uint8Array ? v / 127.5 - 1 : v) + sigma * e;
  });
}

async function posteriorOf(store: DataStore, queries: Float32Array, sigma: number) {
  const x = tensorSpace.from(queries, [BATCH, store.dimension]);
  try {
    const { mean, facts } = await store.posterior(x, sigma);
    assert.deepEqual(mean.shape, x.shape);
    const values = await tensorSpace.values(mean);
    mean.dispose();
    return { mean: values, facts };
  } finally {
    x.dispose();
  }
}

/** Compares two posteriors query by query, given what rounding may do to logits (nats) and means. */
function assertPosterior(
  actual: Posterior<ArrayLike<number>>,
  expected: Posterior<ArrayLike<number>>,
  allowed: (query: number) => { logit: number; mean: number },
  what: string,
): void {
  const dimension = expected.mean.length / BATCH;
  for (let q = 0; q < BATCH; q++) {
    const { logit, mean } = allowed(q);
    const row = (rows: ArrayLike<number>) =>
      Array.from(rows).slice(q * dimension, (q + 1) * dimension);
    assertClose(row(actual.mean), row(expected.mean), mean, `mean, ${what}, query ${q}`);
    const wanted = Object.fromEntries(
      Object.entries(expected.facts).map(([name, values]) => [name, values[q]]),
    ) as Record<keyof PosteriorFacts, number>;
    const fact = (name: keyof PosteriorFacts, tolerance: number) =>
      assertClose([actual.facts[name]![q]], [wanted[name]], tolerance, `${name}, ${what}, ${q}`);
    fact("topLogit", logit);
    fact("logNormaliser", logit);
    // A gap of -1e9 has float32 rounding of its own on devices without float64.
    if (wanted.logitGap < Infinity) fact("logitGap", 2 * logit + 2 ** -20 * wanted.logitGap);
    else assert.equal(actual.facts.logitGap[q], Infinity);
    // Sums of squared weights move twice as fast as weights, which move by 2δ; weights below 1e-8 may be left out.
    fact("effectiveSampleSize", Math.expm1(4 * logit) * wanted.effectiveSampleSize + 1e-5);
    fact("entropy", 2 * logit * (1 + wanted.logNormaliser - wanted.topLogit) + 1e-5);
    if (wanted.logitGap > 2 * logit) fact("topIndex", 0);
  }
}

const SETS: [string, PointSet, number[]][] = [
  // Chunks of one row, of a few rows that do not divide N, of all but one row, and of all.
  ["moons", moons(23), [1, 7, 22, 23]],
  ["shapes", shapes(25), [4, 24, 100]],
  ["bytes in [0, 2]", { ...moons(1), data: shapes(1).data, dimension: 8, range: [0, 2] }, [50]],
];

testOnDevices(
  devices,
  "streamStore() is the store of all rows, whatever the size of a chunk",
  (device) =>
    withoutLeaks(async () => {
      for (const [name, points, chunks] of SETS) {
        const { data, dimension } = points;
        for (const rows of chunks) {
          const source = sourceOf(points);
          const chunkBytes = rows * dimension * data.BYTES_PER_ELEMENT;
          const store = streamStore(source, device, { chunkBytes });
          assert.deepEqual([store.count, store.dimension], [data.length / dimension, dimension]);
          for (const sigma of [20, 0.3, 0.01]) {
            const queries = noisy(points, sigma);
            const query = (q: number) => queries.subarray(q * dimension, (q + 1) * dimension);
            const what = `${name} in chunks of ${rows} at sigma ${sigma}`;
            assertPosterior(
              await posteriorOf(store, queries, sigma),
              referencePosterior(points, queries, sigma),
              (q) => posteriorTolerance(points, query(q), sigma),
              what,
            );
          }
          assert.equal(Math.max(...source.reads), Math.min(rows, store.count));
          assert.equal(source.reads.length, 3 * Math.ceil(store.count / rows));
          store.dispose();
        }
      }
    }),
);

Deno.test("streamStore() merges to the unstreamed posterior, but for the rounding of means", () =>
  withoutLeaks(async () => {
    using device = await openDevice("float64");
    for (const [name, points, chunks] of SETS.slice(0, 2)) {
      const { data, dimension } = points;
      const whole = await device.store(points);
      for (const rows of chunks) {
        const chunkBytes = rows * dimension * data.BYTES_PER_ELEMENT;
        const streamed = streamStore(sourceOf(points), device, { chunkBytes });
        for (const sigma of [20, 0.3, 0.01]) {
          const queries = noisy(points, sigma);
          const expected = await posteriorOf(whole, queries, sigma);
          const largest = Math.max(2, ...queries.map(Math.abs));
          assertPosterior(
            await posteriorOf(streamed, queries, sigma),
            expected,
            (q) => ({
              // In float64, a few roundings of a logit and of a sum over the rows.
              logit: 16 * 2 ** -53 * (100 + Math.abs(expected.facts.topLogit[q])),
              // The mean of a chunk is rounded once, and that of the whole on both sides.
              mean: 3 * EPS32 * largest,
            }),
            `${name} in chunks of ${rows} at sigma ${sigma}`,
          );
        }
      }
      whole.dispose();
    }
  }));

testOnDevices(
  devices,
  "streamStore() finds the nearest rows of all chunks, ties by row",
  (device) =>
    withoutLeaks(async () => {
      // Every row comes three times, in different chunks.
      const few = moons(10);
      const ties = {
        data: new Float32Array([...few.data, ...few.data, ...few.data]),
        dimension: 2,
      };
      for (const points of [ties, shapes(25)]) {
        const { data, dimension } = points;
        const queries = noisy(points, 0.1);
        const x = tensorSpace.from(queries, [BATCH, dimension]);
        for (const rows of [1, 7, 24]) {
          const chunkBytes = rows * dimension * data.BYTES_PER_ELEMENT;
          const store = streamStore(sourceOf(points), device, { chunkBytes });
          for (const k of [1, 13, store.count]) {
            const expected = referenceNeighbours(points, queries, k);
            const actual = await store.nearest(x, k);
            assert.equal(actual.k, k);
            assert.deepEqual(actual.indices, expected.indices);
            // Sums of `dimension` squares in float64.
            assertClose(
              actual.distances,
              expected.distances,
              (dimension + 4) * 2 ** -53 * Math.max(...expected.distances),
              "distances",
            );
          }
          await assert.rejects(store.nearest(x, 0), RangeError);
          await assert.rejects(store.nearest(x, store.count + 1), RangeError);
        }
        x.dispose();
      }
    }),
);

testOnDevices(
  devices,
  "refill() is refused while a call is under way, whatever the call",
  (device) =>
    withoutLeaks(async () => {
      const points = {
        data: new Float32Array(500 * 4).map((_, i) => Math.sin(i * i)),
        dimension: 4,
      };
      const store = await device.store(points);
      const rows = [Uint32Array.of(1, 2), Uint32Array.of(3)];
      const x = tensorSpace.from(noisy(points, 0.5).slice(0, 8), [2, 4]);
      const calls: Record<string, () => Promise<unknown>> = {
        posterior: async () => tensorSpace.dispose((await store.posterior(x, 1)).mean),
        nearest: () => store.nearest(x, 5),
        posteriorOn: async () => {
          const subsets = rows.map((rows) => ({ rows }));
          tensorSpace.dispose((await store.posteriorOn(x, 1, subsets)).mean);
        },
        distancesTo: () => store.distancesTo(x, rows),
      };
      for (const [name, call] of Object.entries(store.refill ? calls : {})) {
        const running = call();
        const message = /calls are under way, wanted none/;
        await assert.rejects(store.refill!(points.data), { name: "DeviceError", message }, name);
        await running;
        await store.refill!(points.data);
      }
      x.dispose();
      store.dispose();
    }),
);

testOnDevices(
  devices,
  "refill() replaces the rows of a store, where there is one",
  (device) =>
    withoutLeaks(async () => {
      // Dimensions with and without padding in memory.
      for (
        const [dimension, bytes] of [[3072, true], [13, true], [16, false], [3, false]] as const
      ) {
        const numbers = Float32Array.from(
          { length: 2 * 40 * dimension },
          (_, i) => bytes ? i * i % 251 : Math.sin(i * i),
        );
        const all = bytes ? Uint8Array.from(numbers) : numbers;
        const half = all.length / 2;
        const old = { data: all.subarray(0, half), dimension };
        const points = { data: all.subarray(half), dimension };
        const store = await device.store(old);
        if (store.refill) {
          const queries = noisy(points, 0.5);
          await posteriorOf(store, queries, 0.5);
          await store.refill(points.data);
          const fresh = await device.store(points);
          assert.deepEqual(
            await posteriorOf(store, queries, 0.5),
            await posteriorOf(fresh, queries, 0.5),
          );
          fresh.dispose();
          await assert.rejects(store.refill(points.data.slice(dimension)), TypeError);
          const other = bytes ? new Float32Array(half) : new Uint8Array(half);
          await assert.rejects(store.refill(other), TypeError);
          if (!bytes) await assert.rejects(store.refill(points.data.map(() => NaN)), RangeError);
        }
        store.dispose();
        if (store.refill) await assert.rejects(store.refill(points.data), DeviceError);
      }
    }),
);

/** A source that calls `before` with the number of each read. */
function interrupted(points: PointSet, before: (read: number) => void): PointSource {
  const source = sourceOf(points);
  let reads = 0;
  return {
    ...source,
    read: async (...args) => {
      before(++reads);
      await source.read(...args);
    },
  };
}

/** A call that must reject, and once only: nothing is left unhandled. */
async function rejection(call: Promise<unknown>): Promise<unknown> {
  let unhandled = 0;
  const count = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled++;
  };
  globalThis.addEventListener("unhandledrejection", count);
  try {
    const reason = await call.then(() => assert.fail("it was answered"), (reason) => reason);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(unhandled, 0, "unhandled rejections");
    return reason;
  } finally {
    globalThis.removeEventListener("unhandledrejection", count);
  }
}

/** A device that counts the stores that were not disposed. */
function counting(device: Device): Device & { open: () => number } {
  let open = 0;
  return {
    ...device,
    open: () => open,
    async store(points) {
      const store = await device.store(points);
      open++;
      let disposed = false;
      return {
        count: store.count,
        dimension: store.dimension,
        posterior: (...args) => store.posterior(...args),
        nearest: (...args) => store.nearest(...args),
        posteriorOn: (...args) => store.posteriorOn(...args),
        distancesTo: (...args) => store.distancesTo(...args),
        ...(store.refill && { refill: (data) => store.refill!(data) }),
        dispose() {
          store.dispose();
          if (!disposed) open--;
          disposed = true;
        },
      };
    },
  };
}

testOnDevices(
  devices,
  "streamStore() stops in mid-scan and leaves nothing behind",
  (device) =>
    withoutLeaks(async () => {
      const points = moons(40);
      const counted = counting(device);
      const x = tensorSpace.from(noisy(points, 1), [BATCH, 2]);
      const calls: ((store: DataStore, x: AnyTensor, signal?: AbortSignal) => Promise<unknown>)[] =
        [
          (store, x, signal) => store.posterior(x, 1, { signal }),
          (store, x, signal) => store.nearest(x, 3, { signal }),
        ];
      for (const call of calls) {
        for (const at of [1, 2, 10]) {
          const controller = new AbortController();
          const seen: number[] = [];
          const abort = interrupted(points, (read) => {
            seen.push(read);
            if (read === at) controller.abort("enough");
          });
          const store = streamStore(abort, counted, { chunkBytes: 32 });
          assert.equal(await rejection(call(store, x, controller.signal)), "enough");
          assert.equal(seen.length, at);

          const broken = interrupted(points, (read) => {
            if (read === at) throw new TypeError(`read ${at}`);
          });
          const failing = streamStore(broken, counted, { chunkBytes: 32 });
          assert.match(String(await rejection(call(failing, x))), new RegExp(`read ${at}$`));
          // The error of one call does not spoil the next.
          const { signal } = new AbortController();
          const again = await call(failing, x, signal) as { mean?: AnyTensor };
          again.mean?.dispose();
          failing.dispose();
        }
        assert.match(
          String(
            await rejection(call(streamStore(sourceOf(points), counted), x, AbortSignal.abort(7))),
          ),
          /7/,
        );
      }
      assert.equal(counted.open(), 0, "stores that were not disposed");
      x.dispose();
    }),
);

testOnDevices(
  devices,
  "streamStore() answers calls in turn, and none once disposed",
  (device) =>
    withoutLeaks(async () => {
      const points = moons(30);
      const store = streamStore(sourceOf(points), device, { chunkBytes: 56 });
      const x = tensorSpace.from(noisy(points, 0.3), [BATCH, 2]);
      const both = [store.posterior(x, 0.3), store.posterior(x, 0.3)];
      // The queries were taken when the calls were made.
      x.dispose();
      const [a, b] = await Promise.all(both);
      assert.deepEqual(await a.mean.data(), await b.mean.data());
      tensorSpace.dispose(a.mean, b.mean);
      const y = tensorSpace.from([0, 0], [1, 2]);
      const running = store.posterior(y, 1);
      store.dispose();
      await assert.rejects(running, DeviceError);
      await assert.rejects(store.nearest(y, 1), DeviceError);
      y.dispose();
    }),
);

Deno.test("streamStore() refuses bad sizes and bad queries before it reads", async () => {
  using device = await openDevice("float64");
  const source = sourceOf(moons(4));
  for (const chunkBytes of [0, -1, NaN]) {
    assert.throws(() => streamStore(source, device, { chunkBytes }), RangeError);
  }
  assert.throws(() => streamStore({ ...source, count: 0 }, device), RangeError);
  const store = streamStore(source, device);
  const x = tensorSpace.from([0, 0], [1, 2]), wide = tensorSpace.from([0, 0, 0], [1, 3]);
  await assert.rejects(store.posterior(x, 0), RangeError);
  await assert.rejects(store.posterior(wide, 1), TypeError);
  await assert.rejects(store.nearest(wide, 1), TypeError);
  assert.deepEqual(source.reads, []);
  tensorSpace.dispose(x, wide);
});

Deno.test("streamedMean() is the mean of the data set, of bytes and of floats", async () => {
  for (const set of [moons(61), shapes(25)]) {
    for (const chunkBytes of [1, 1000, 2 ** 20]) {
      const mean = await streamedMean(sourceOf(set), { chunkBytes });
      // Sums of as many numbers of at most 2 in float64.
      assertClose(mean, set.mean(), 2 * set.count * 2 ** -53, "mean");
    }
  }
  await assert.rejects(streamedMean(sourceOf(moons(4)), { signal: AbortSignal.abort("no") }), /no/);
});

testOnDevices(
  devices,
  "sample() of a streamed set draws the samples of the set",
  (device) =>
    withFolder((folder) =>
      withoutLeaks(async () => {
        const { data, shape } = shapes(60);
        const set = new Dataset({ data, shape, name: "shapes" });
        const path = await write(folder, "x.npy", encodeNpy(data, [60, ...shape]));
        using rows = await openRows(path);
        using whole = await optimal(set, { device });
        const options = { mean: true, chunkBytes: 7 * rows.dimension };
        using streamed = await optimal(rows, { device, ...options });
        for (const grid of [ddpmGrid(5), uniformTGrid(5)]) {
          const [a, b] = [
            await sample(whole, { count: 6, seed: 2, grid, output: "tensor" }),
            await sample(streamed, { count: 6, seed: 2, grid, output: "tensor" }),
          ];
          // The last step takes a mean of values up to 1; what earlier steps round does not change of which.
          const values = (x: typeof a.x) => whole.space.values(x);
          assertClose(await values(b.x), await values(a.x), 1e-5, grid.name);
          assert.deepEqual(b.steps.at(-1)!.facts!.topIndex, a.steps.at(-1)!.facts!.topIndex);
          whole.space.dispose(a.x, a.denoised, b.x, b.denoised);
        }
        using meanless = await optimal(rows, { device });
        await assert.rejects(
          sample(meanless, { grid: uniformTGrid(5), output: "tensor" }),
          /starts at the data mean/,
        );
      })
    ),
);
