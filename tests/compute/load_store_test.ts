import type { PointSet, PointSource } from "@closedform/diffusion";
import { startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { loadStore } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";

const devices = await testDevices();

/** Rows that are in memory, as a source. */
function sourceOf({ data, dimension, range }: PointSet): PointSource & { calls: number } {
  return {
    count: data.length / dimension,
    dimension,
    bytes: data instanceof Uint8Array,
    range,
    calls: 0,
    read(first, rows, target) {
      this.calls++;
      assert.equal(target.length, rows * dimension);
      target.set(data.subarray(first * dimension, (first + rows) * dimension));
      return Promise.resolve();
    },
  };
}

function bytes(count: number, dimension: number): Uint8Array {
  return Uint8Array.from({ length: count * dimension }, (_, i) => (i * 2654435761) >>> 13);
}

function sameBits(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.from(a).every((v, i) => Object.is(v, b[i]));
}

testOnDevices(
  devices,
  "loadStore() stores what device.store() stores",
  (device) =>
    withoutLeaks(async () => {
      const sets: PointSet[] = [
        { data: bytes(40, 7), dimension: 7, range: [0, 3] },
        // Wider than one piece of 8 MiB.
        { data: bytes(2900, 3072), dimension: 3072 },
        { data: Float32Array.from(startNoise(1, 0, 30, 5)), dimension: 5 },
      ];
      for (const points of sets) {
        const { dimension } = points;
        const source = sourceOf(points);
        const [whole, loaded] = [await device.store(points), await loadStore(source, device)];
        assert.equal(loaded.count, whole.count);
        const x = tensorSpace.from(startNoise(2, 0, 3, dimension), [3, dimension]);
        const [expected, actual] = [await whole.posterior(x, 2), await loaded.posterior(x, 2)];
        assert.ok(sameBits(await expected.mean.data(), await actual.mean.data()));
        assert.deepEqual(actual.facts, expected.facts);
        assert.deepEqual(await loaded.nearest(x, 9), await whole.nearest(x, 9));
        tensorSpace.dispose(x, expected.mean, actual.mean);
        whole.dispose();
        loaded.dispose();
      }
    }),
);

testOnDevices(devices, "loadStore() refuses bad rows and hears a signal", async (device) => {
  const points = { data: Float32Array.from(startNoise(1, 0, 30, 5)), dimension: 5 };
  points.data[12 * 5 + 1] = NaN;
  await assert.rejects(loadStore(sourceOf(points), device), {
    name: "RangeError",
    message: /row 12/,
  });
  const empty = { ...sourceOf(points), count: 0 };
  await assert.rejects(loadStore(empty, device), RangeError);
  const reason = new TypeError("enough");
  await assert.rejects(
    loadStore(sourceOf(points), device, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  const broken = { ...sourceOf(points), read: () => Promise.reject(reason) };
  await assert.rejects(loadStore(broken, device), (error) => error === reason);
});
