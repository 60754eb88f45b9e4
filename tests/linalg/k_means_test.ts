import { startNoise, tinyShapes } from "@closedform/diffusion";
import { kMeans } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";

/** `k` groups in the plane, far apart beside their width. */
function groups(k: number, each: number, seed: number) {
  const noise = startNoise(seed, 0, k * each, 2);
  const data = Float32Array.from(noise, (e, i) => {
    const group = Math.floor(i / 2) % k, angle = 2 * Math.PI * group / k;
    return 10 * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle)) + 0.3 * e;
  });
  return { data, dimension: 2 };
}

Deno.test("kMeans() finds groups that are apart, by Lloyd's iterations and by mini-batches", async () => {
  for (const batchSize of [2048, 200]) {
    const points = groups(6, 100, 91);
    const { centres, labels, inertia, converged } = await kMeans(points, 6, { batchSize, seed: 1 });
    assert.equal(centres.length, 6);
    for (let group = 0; group < 6; group++) {
      const own = new Set(labels.filter((_, i) => i % 6 === group));
      assert.equal(own.size, 1);
    }
    // The variance of the groups, 0.09 per number.
    assert.ok(Math.abs(inertia - 0.18) < 0.02, `${inertia}`);
    assert.ok(converged || batchSize === 200);
  }
});

Deno.test("kMeans() ends where Lloyd's iterations do: centres are means, labels are nearest", async () => {
  const set = tinyShapes(300), { dimension } = set;
  const { centres, labels, inertia, converged } = await kMeans(set, 7);
  assert.ok(converged);
  let total = 0;
  for (let i = 0; i < set.count; i++) {
    const row = set.values(i);
    const squares = centres.map((centre) =>
      row.reduce((sum, v, c) => sum + (v - centre[c]) ** 2, 0)
    );
    assert.equal(labels[i], squares.indexOf(Math.min(...squares)));
    total += squares[labels[i]];
  }
  assert.ok(Math.abs(total / set.count - inertia) < 1e-10 * inertia);
  centres.forEach((centre, k) => {
    const mean = new Float64Array(dimension);
    let n = 0;
    for (let i = 0; i < set.count; i++) if (labels[i] === k) n++;
    for (let i = 0; i < set.count; i++) {
      if (labels[i] === k) set.values(i).forEach((v, c) => mean[c] += v / n);
    }
    centre.forEach((v, c) => assert.ok(Math.abs(v - mean[c]) < 1e-12));
  });
});

Deno.test("kMeans() by mini-batches comes near to Lloyd's", async () => {
  const set = tinyShapes(3000);
  const lloyd = await kMeans(set, 12, { batchSize: 3000 });
  const batches = await kMeans(set, 12, { batchSize: 500 });
  assert.ok(batches.inertia < 1.05 * lloyd.inertia, `${batches.inertia}, Lloyd ${lloyd.inertia}`);
});

Deno.test("kMeans() takes one cluster, as many as items, and duplicates", async () => {
  const points = groups(3, 4, 92);
  const one = await kMeans(points, 1);
  assert.equal(one.centres.length, 1);
  const all = await kMeans(points, 12);
  assert.deepEqual([all.centres.length, all.inertia], [12, 0]);
  assert.equal(new Set(all.labels).size, 12);
  // Of equal items, only one centre has any.
  const same = await kMeans({ data: new Float32Array(20).fill(0.5), dimension: 2 }, 4);
  assert.deepEqual([same.centres.length, same.inertia], [1, 0]);
  const bytes = await kMeans({ data: Uint8Array.of(0, 1, 254, 255), dimension: 1 }, 2);
  assert.ok(bytes.centres.every(([c]) => Math.abs(Math.abs(c) - (1 - 1 / 255)) < 1e-12));
});

Deno.test("kMeans() depends on its seed and on nothing else, and can be stopped", async () => {
  const set = tinyShapes(400);
  const run = (seed: number) => kMeans(set, 5, { seed, batchSize: 100, iterations: 5 });
  const [a, b, c] = [await run(3), await run(3), await run(4)];
  assert.deepEqual([...a.labels], [...b.labels]);
  assert.notDeepEqual([...a.labels], [...c.labels]);
  assert.equal(a.iterations, 5);
  const controller = new AbortController(), reason = new TypeError("enough");
  let told = 0;
  const stopped = kMeans(set, 5, {
    batchSize: 100,
    signal: controller.signal,
    onProgress: () => ++told === 2 && controller.abort(reason),
  });
  await assert.rejects(stopped, reason);
  assert.equal(told, 2);
});

Deno.test("kMeans() refuses numbers out of range", async () => {
  const points = groups(2, 2, 93);
  for (const k of [0, 5, 1.5]) await assert.rejects(kMeans(points, k), RangeError);
  for (const bad of [0, -1, 0.5]) {
    await assert.rejects(kMeans(points, 2, { batchSize: bad }), RangeError);
    await assert.rejects(kMeans(points, 2, { iterations: bad }), RangeError);
  }
});

Deno.test("kMeans() tells clusters apart at an offset that swallows them in expanded squares", async () => {
  // Neighbouring float32 numbers near 1.6e7: the squares of the offset are 2.6e14 times that of a difference.
  const dimension = 3000, offset = 1.6e7;
  const data = Float32Array.from(
    { length: 8 * dimension },
    (_, i) => offset + (Math.floor(i / dimension) < 4 ? 0 : 1),
  );
  for (const seed of [0, 1, 2]) {
    const { labels, inertia, centres } = await kMeans({ data, dimension }, 2, { seed });
    assert.equal(inertia, 0);
    assert.deepEqual([...labels.slice(4)].map((l) => l !== labels[0]), [true, true, true, true]);
    assert.deepEqual([...labels.slice(0, 4)].map((l) => l === labels[0]), [true, true, true, true]);
    assert.deepEqual(centres.map(([c]) => c).sort(), [offset, offset + 1]);
  }
});

Deno.test("kMeans() tells close clusters apart though others are far away", async () => {
  // No one centre helps: pairs of clusters, 1 apart, at ±1.6e7.
  const places = [-1.6e7, -1.6e7 + 1, 1.6e7, 1.6e7 - 1];
  const dimension = 300, each = 20;
  const data = Float32Array.from(
    { length: 4 * each * dimension },
    (_, i) => places[Math.floor(i / dimension) % 4],
  );
  // Seeds that k-means++ draws from all four, which far pairs make unlikely: the nearest centre is what is tested.
  const { labels, inertia, centres } = await kMeans({ data, dimension }, 80, { seed: 1 });
  assert.equal(inertia, 0);
  labels.forEach((label, i) => assert.equal(centres[label][0], places[i % 4]));
});
