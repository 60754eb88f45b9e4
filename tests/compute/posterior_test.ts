import type { Device, PointSet } from "@closedform/diffusion";
import { DeviceError, RandomStream, readCifar10, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose, posteriorTolerance } from "../_helpers/tolerance.ts";

const SIGMAS = [100, 20, 5, 1, 0.3, 0.05, 0.002];
const devices = await testDevices();

/** Random rows of bytes or floats; row i does not depend on `count`. */
function randomPoints(
  count: number,
  dimension: number,
  bytes: boolean,
): PointSet {
  const data = bytes ? new Uint8Array(count * dimension) : new Float32Array(count * dimension);
  for (let i = 0, at = 0; i < count; i++) {
    const stream = new RandomStream({ seed: 11, sample: i, purpose: "data" });
    for (let c = 0; c < dimension; c++) {
      data[at++] = bytes ? stream.below(256) : 2 * stream.uniform() - 1;
    }
  }
  return { data, dimension };
}

/** Noisy copies of rows, as float32, so that all devices see the same numbers. */
function noisyQueries(
  points: PointSet,
  batch: number,
  sigma: number,
): Float32Array {
  const { data, dimension } = points;
  const count = data.length / dimension;
  const noise = startNoise(3, 0, batch, dimension);
  return Float32Array.from(noise, (e, at) => {
    const row = Math.floor(at / dimension) * 7 % count;
    const v = data[row * dimension + at % dimension];
    return (data instanceof Uint8Array ? v / 127.5 - 1 : v) + sigma * e;
  });
}

async function run(
  device: Device,
  points: PointSet,
  queries: ArrayLike<number>,
  sigma: number | number[],
) {
  const store = await device.store(points);
  const x = tensorSpace.from(queries, [
    queries.length / points.dimension,
    points.dimension,
  ]);
  try {
    const { mean, facts } = await store.posterior(x, sigma);
    const values = await tensorSpace.values(mean);
    mean.dispose();
    return { mean: values, facts };
  } finally {
    x.dispose();
    store.dispose();
  }
}

/** Compares a device with the float64 reference, query by query, with the derived tolerance. */
async function compare(
  device: Device,
  points: PointSet,
  batch: number,
  sigmas: readonly number[],
) {
  const { dimension } = points;
  for (const sigma of sigmas) {
    const queries = noisyQueries(points, batch, sigma);
    const actual = await run(device, points, queries, sigma);
    const expected = referencePosterior(points, queries, sigma);
    for (let q = 0; q < batch; q++) {
      const part = <T extends ArrayLike<number>>(rows: T) =>
        Array.prototype.slice.call(rows, q * dimension, (q + 1) * dimension);
      const tolerance = posteriorTolerance(points, part(queries), sigma);
      const what = (fact: string) => `${fact} at sigma ${sigma}, d ${dimension}, query ${q}`;
      assertClose(
        part(actual.mean),
        part(expected.mean),
        tolerance.mean,
        what("mean"),
      );
      const fact = (name: keyof typeof expected.facts, allowed: number) =>
        assertClose(
          [actual.facts[name]![q]],
          [expected.facts[name]![q]],
          allowed,
          what(name),
        );
      // A logit near -1e9 has float32 rounding of its own on devices without float64.
      const { logit } = tolerance;
      fact("topLogit", logit);
      fact("logNormaliser", logit);
      if (expected.facts.logitGap[q] < Infinity) {
        fact("logitGap", 2 * logit + 2 ** -20 * expected.facts.logitGap[q]);
      } else assert.equal(actual.facts.logitGap[q], Infinity);
      fact(
        "effectiveSampleSize",
        Math.expm1(4 * logit) * expected.facts.effectiveSampleSize[q] + 1e-5,
      );
      fact(
        "entropy",
        2 * logit *
            (1 + expected.facts.logNormaliser[q] - expected.facts.topLogit[q]) +
          1e-5,
      );
      if (expected.facts.logitGap[q] > 2 * logit) {
        assert.equal(
          actual.facts.topIndex[q],
          expected.facts.topIndex[q],
          what("topIndex"),
        );
      }
    }
  }
}

for (const bytes of [true, false]) {
  const kind = bytes ? "bytes" : "floats";
  for (
    const [count, dimension] of [
      [1, 1],
      [1, 3072],
      [2, 2],
      [257, 3],
      [601, 1],
      [509, 784],
      [130, 3072],
      [37, 12288],
    ]
  ) {
    testOnDevices(
      devices,
      `posterior() equals the float64 reference on ${count} x ${dimension} ${kind}`,
      (device) =>
        withoutLeaks(() => compare(device, randomPoints(count, dimension, bytes), 3, SIGMAS)),
    );
  }
}

for (const { kind, skip, open } of devices) {
  const present = hasData("cifar-10-batches-bin");
  Deno.test({
    name: `posterior() equals the float64 reference on CIFAR-10 [${kind}]` +
      (skip ? `, skipped: ${skip}` : present ? "" : ", skipped: no CIFAR-10"),
    ignore: skip !== undefined || !present,
    fn: async () => {
      using device = await open();
      const set = await readCifar10(dataPath("cifar-10-batches-bin"));
      await compare(device, set.take(500), 3, SIGMAS);
      // The whole set takes more than one buffer of 128 MiB.
      if (kind !== "float64") await compare(device, set, 1, [20, 0.3]);
    },
  });
}

testOnDevices(
  devices,
  "posterior() separates near-duplicates at sigma 0.01",
  async (device) => {
    // A8 of the specification: rivals 0.0003 apart per pixel, whose squared distances an expanded form cannot tell apart.
    const dimension = 3072, count = 40;
    const base = startNoise(1, 0, 1, dimension);
    const data = Float32Array.from(
      startNoise(2, 0, count, dimension),
      (e, at) => {
        const value = Math.max(-1, Math.min(1, 0.5 * base[at % dimension]));
        return value + 0.0003 * e;
      },
    );
    const points = { data, dimension };
    const queries = Float32Array.from(
      startNoise(4, 0, 2, dimension),
      (e, at) => data[at % dimension] + 0.01 * e,
    );
    const { facts } = await run(device, points, queries, 0.01);
    const expected = referencePosterior(points, queries, 0.01).facts;
    for (let q = 0; q < 2; q++) {
      assert.ok(expected.effectiveSampleSize[q] > 1.001, "the rivals compete");
      assertClose(
        [facts.logNormaliser[q]],
        [expected.logNormaliser[q]],
        1e-3 * 2,
        "logNormaliser",
      );
      assertClose(
        [facts.logitGap[q]],
        [expected.logitGap[q]],
        1e-3,
        "logitGap",
      );
      assertClose(
        [facts.effectiveSampleSize[q]],
        [expected.effectiveSampleSize[q]],
        1e-2,
        "effectiveSampleSize",
      );
    }
  },
);

testOnDevices(
  devices,
  "posterior() takes one sigma per row, and a query alone has the same bits as in a batch",
  async (device) => {
    for (const [count, dimension] of [[300, 2], [700, 784], [90, 3073]]) {
      for (const bytes of [true, false]) {
        const points = randomPoints(count, dimension, bytes);
        const batch = 70;
        const sigmas = Array.from(
          { length: batch },
          (_, q) => 10 ** (2 - q / 20),
        );
        const queries = noisyQueries(points, batch, 1).map((v, at) =>
          v * sigmas[Math.floor(at / dimension)]
        );
        const together = await run(device, points, queries, sigmas);
        for (const q of [0, 1, 31, 66, 69]) {
          const alone = await run(
            device,
            points,
            queries.subarray(q * dimension, (q + 1) * dimension),
            sigmas[q],
          );
          assert.deepEqual(
            alone.mean,
            together.mean.slice(q * dimension, (q + 1) * dimension),
          );
          for (const [name, values] of Object.entries(alone.facts)) {
            assert.equal(
              values[0],
              together.facts[name as keyof typeof alone.facts]![q],
              name,
            );
          }
        }
      }
    }
  },
);

testOnDevices(
  devices,
  "posterior() does not depend on the order of the data",
  async (device) => {
    const points = randomPoints(1000, 784, true);
    const { data, dimension } = points;
    const reversed = data.slice();
    for (let i = 0; i < 1000; i++) {
      reversed.set(
        data.subarray(i * dimension, (i + 1) * dimension),
        (999 - i) * dimension,
      );
    }
    for (const sigma of SIGMAS) {
      const queries = noisyQueries(points, 2, sigma);
      const [a, b] = [
        await run(device, points, queries, sigma),
        await run(device, { data: reversed, dimension }, queries, sigma),
      ];
      for (let q = 0; q < 2; q++) {
        const part = (rows: ArrayLike<number>) =>
          Array.prototype.slice.call(rows, q * dimension, (q + 1) * dimension);
        const tolerance = posteriorTolerance(points, part(queries), sigma);
        assertClose(
          part(a.mean),
          part(b.mean),
          2 * tolerance.mean,
          `mean at sigma ${sigma}`,
        );
        assert.equal(a.facts.topIndex[q], 999 - b.facts.topIndex[q]);
      }
    }
  },
);

testOnDevices(
  devices,
  "posterior() names the lowest row of a tie and reports a gap of 0",
  async (device) => {
    const points = { data: Float32Array.of(5, 1, 1, -5, 1), dimension: 1 };
    const { facts } = await run(device, points, [1.25], 0.5);
    assert.equal(facts.topIndex[0], 1);
    assert.equal(facts.logitGap[0], 0);
    assertClose(facts.effectiveSampleSize, [3], 1e-5, "effectiveSampleSize");
  },
);

testOnDevices(
  devices,
  "posterior() refuses what it cannot answer",
  async (device) => {
    await withoutLeaks(async () => {
      const store = await device.store(randomPoints(10, 4, false));
      const ask = async (
        values: number[],
        shape: number[],
        sigma: number | number[],
      ) => {
        const x = tensorSpace.from(values, shape);
        try {
          (await store.posterior(x, sigma)).mean.dispose();
        } finally {
          x.dispose();
        }
      };
      await assert.rejects(ask([], [0, 4], 1), RangeError);
      await assert.rejects(ask([1, 2, NaN, 4], [1, 4], 1), RangeError);
      await assert.rejects(
        ask([1, 2, 3, 4, 1, 2, 3, Infinity], [2, 4], 1),
        RangeError,
      );
      await assert.rejects(ask([1, 2, 3, 4], [1, 4], 0), RangeError);
      await assert.rejects(ask([1, 2, 3, 4], [1, 4], NaN), RangeError);
      await assert.rejects(ask([1, 2, 3], [1, 3], 1), TypeError);
      await assert.rejects(ask([1, 2, 3, 4], [1, 4], [1, 2]), TypeError);
      await ask([1, 2, 3, 4], [1, 2, 2], 1);
      store.dispose();
      await assert.rejects(ask([1, 2, 3, 4], [1, 4], 1), DeviceError);
      await assert.rejects(
        device.store({ data: new Float32Array(5), dimension: 2 }),
        TypeError,
      );
      await assert.rejects(
        device.store({ data: new Float32Array(0), dimension: 2 }),
        TypeError,
      );
      await assert.rejects(
        device.store({ data: Float32Array.of(1, NaN), dimension: 2 }),
        RangeError,
      );
    });
  },
);

testOnDevices(
  devices,
  "posterior() stops on an abort and can be asked again",
  async (device) => {
    await withoutLeaks(async () => {
      const store = await device.store(randomPoints(500, 64, true));
      const x = tensorSpace.from(new Float32Array(64), [1, 64]);
      const reason = new RangeError("enough");
      await assert.rejects(
        store.posterior(x, 1, { signal: AbortSignal.abort(reason) }),
        (e) => e === reason,
      );
      (await store.posterior(x, 1)).mean.dispose();
      x.dispose();
      store.dispose();
    });
  },
);

testOnDevices(
  devices,
  "posterior() answers calls made at the same time",
  async (device) => {
    const points = randomPoints(400, 32, true);
    const store = await device.store(points);
    const inputs = [1, 2, 3, 4].map((k) => tensorSpace.from(noisyQueries(points, k, k), [k, 32]));
    const means = await Promise.all(
      inputs.map(async (x, i) => (await store.posterior(x, i + 1)).mean),
    );
    for (let i = 0; i < 4; i++) {
      const alone = (await store.posterior(inputs[i], i + 1)).mean;
      assert.deepEqual(
        await tensorSpace.values(means[i]),
        await tensorSpace.values(alone),
      );
      alone.dispose();
    }
    tensorSpace.dispose(...inputs, ...means);
    store.dispose();
  },
);
