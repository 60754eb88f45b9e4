import { Dataset, dataSpectrum, lowRank, startNoise } from "@closedform/diffusion";
import type { Spectrum } from "@closedform/diffusion";
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";
import { writeCacheFile } from "../../../src/base/_cache_file.ts";
import { referenceMoments } from "../../../src/compute/covariance.ts";
import { referenceEigen } from "../../../src/compute/reference_eigen.ts";
import { withFolder, write } from "../../_helpers/files.ts";
import { assertDecomposes } from "../../_helpers/symmetric.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

/** Byte images of 16 × 16 pixels: 256 dimensions, from which on spectra are cached. */
function images(count: number, seed = 1): Dataset {
  const noise = startNoise(seed, 0, count, 256);
  const data = Uint8Array.from(
    noise,
    (e, i) => Math.max(0, Math.min(255, 128 + (20 + i % 70) * e)),
  );
  const labels = Uint32Array.from({ length: count }, (_, i) => i % 3);
  return new Dataset({ data, shape: [16, 16, 1], labels, name: "noise images" });
}

function assertSame(actual: Spectrum, expected: Spectrum): void {
  assertClose(actual.mean, expected.mean, 0, "mean");
  assertClose(actual.variances, expected.variances, 0, "variances");
  assertClose(actual.basis, expected.basis, 0, "basis");
  assert.equal(actual.floor, expected.floor);
}

Deno.test("dataSpectrum() decomposes the sample covariance, of bytes and floats", async () => {
  const noise = startNoise(3, 0, 500, 30);
  const points = Float32Array.from(noise, (e, i) => e * (1 + i % 30) + i % 7);
  for (
    const set of [images(400), new Dataset({ data: points, shape: [30], name: "points" })]
  ) {
    const { mean, variances, basis, floor } = await dataSpectrum(set, { cache: false });
    assertClose(mean, set.mean(), 8 * Number.EPSILON * 10, "mean");
    const { covariance } = referenceMoments(set);
    assertDecomposes({ values: variances, vectors: basis }, covariance, set.name);
    assert.equal(floor, 0);
  }
});

Deno.test("dataSpectrum() of fewer items than dimensions has variance 0 in the others, never less", async () => {
  const count = 20;
  const set = images(count);
  const { variances } = await dataSpectrum(set, { cache: false });
  assert.ok(variances.every((v) => v >= 0));
  const rounding = 256 * Number.EPSILON * variances[0];
  assert.ok(variances[count - 2] > 1e6 * rounding);
  assert.ok(variances.subarray(count - 1).every((v) => v <= rounding));
});

Deno.test("dataSpectrum() of one class is that of its items", async () => {
  const set = images(300);
  const options = { cache: false } as const;
  assertSame(
    await dataSpectrum(set, { ...options, class: 1 }),
    await dataSpectrum(set.classSubset(1), options),
  );
  await assert.rejects(dataSpectrum(set, { class: 7 }), RangeError);
});

Deno.test("lowRank() keeps the trace, or raises what is below the floor", async () => {
  const whole = await dataSpectrum(images(300), { cache: false });
  const trace = ({ mean, variances, floor }: Spectrum) =>
    variances.reduce((sum, v) => sum + v, 0) + floor * (mean.length - variances.length);
  for (const rank of [0, 1, 17, 255, 256]) {
    const low = lowRank(whole, rank);
    assert.equal(low.variances.length, rank);
    assert.equal(low.basis.length, rank * 256);
    assert.ok(rank === 0 || low.floor <= low.variances[rank - 1]);
    assertClose([trace(low)], [trace(whole)], 512 * Number.EPSILON * trace(whole), "trace");
    if (rank === 17) assertSame(await dataSpectrum(images(300), { cache: false, rank }), low);
    // Twice is once.
    if (rank > 9) assertClose([lowRank(low, 9).floor], [lowRank(whole, 9).floor], 1e-13, "floor");
  }
  const floor = whole.variances[100];
  const raised = lowRank(whole, 200, floor);
  assert.equal(raised.floor, floor);
  assertClose(raised.variances.subarray(0, 101), whole.variances.subarray(0, 101), 0, "above");
  assertClose(raised.variances.subarray(100), new Float64Array(100).fill(floor), 0, "below");
});

Deno.test("dataSpectrum() and lowRank() refuse ranks and floors out of range", async () => {
  const set = images(10);
  for (const rank of [-1, 1.5, 257, NaN]) {
    await assert.rejects(dataSpectrum(set, { rank }), RangeError);
  }
  for (const floor of [-1, NaN, Infinity]) {
    await assert.rejects(dataSpectrum(set, { floor }), RangeError);
  }
  const whole = await dataSpectrum(set, { cache: false });
  assert.throws(() => lowRank(whole, -1), RangeError);
  assert.throws(() => lowRank(whole, 2, -1), RangeError);
});

Deno.test("dataSpectrum() reads from its cache what it would compute, bit by bit", async () => {
  await withFolder(async (folder) => {
    const set = images(400), cache = `${folder}/spectra`;
    const calls = { first: 0, second: 0 };
    const first = await dataSpectrum(set, { cache, onProgress: () => calls.first++ });
    const [{ name }, ...others] = [...Deno.readDirSync(cache)];
    assert.equal(others.length, 0);
    const second = await dataSpectrum(set, { cache, onProgress: () => calls.second++ });
    assert.ok(calls.first > 0 && calls.second === 0);
    assertSame(second, first);
    // Another rank and floor come from the same file; another name and labels do not matter.
    const same = new Dataset({ data: set.data, shape: [256], name: "another" });
    assertSame(await dataSpectrum(same, { cache, rank: 5 }), lowRank(first, 5));
    assert.equal([...Deno.readDirSync(cache)].length, 1);
    for (
      const damage of [
        (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2),
        (bytes: Uint8Array) => bytes.map((byte, i) => i === 1000 ? byte ^ 4 : byte),
        () => new Uint8Array(0),
      ]
    ) {
      const whole = await Deno.readFile(`${cache}/${name}`);
      await Deno.writeFile(`${cache}/${name}`, damage(whole));
      const before = calls.second;
      assertSame(await dataSpectrum(set, { cache, onProgress: () => calls.second++ }), first);
      assert.ok(calls.second > before, "computed again");
      assertClose(await Deno.readFile(`${cache}/${name}`), whole, 0, "written again");
    }
  });
});

Deno.test("dataSpectrum() takes no spectrum from a cache that cannot be that of the data", async () => {
  await withFolder(async (cache) => {
    const set = images(300);
    const first = await dataSpectrum(set, { cache });
    const [{ name }] = [...Deno.readDirSync(cache)];
    const file = `${cache}/${name}`, whole = await Deno.readFile(file);
    const key = whole.subarray(8, 40), magic = new TextDecoder().decode(whole.subarray(0, 8));
    const { mean, variances, basis } = first, d = mean.length;
    const forged: Record<string, Float64Array[]> = {
      "variances of 0.5": [mean, variances.map(() => 0.5), basis],
      "an empty basis": [mean, variances],
      "a basis of zeros": [mean, variances, new Float64Array(basis.length)],
      "another mean": [mean.map((m) => m + 0.1), variances, basis],
      "rising variances": [mean, variances.toReversed(), basis],
      "a negative variance": [mean, variances.with(d - 1, -1).with(0, variances[0] + 1), basis],
      "no number": [mean, variances.with(3, NaN), basis],
      "fewer directions": [mean, variances.subarray(0, 9), basis.subarray(0, 9 * d)],
      "nothing": [],
    };
    for (const [what, parts] of Object.entries(forged)) {
      await writeCacheFile(
        file,
        magic,
        key,
        parts.map((part) => new Uint8Array(part.slice().buffer)),
      );
      assertSame(await dataSpectrum(set, { cache }), first);
      assertClose(await Deno.readFile(file), whole, 0, `written again, after ${what}`);
    }
  });
});

Deno.test("dataSpectrum() takes its own spectrum from the cache, however far off or few the data are", async () => {
  await withFolder(async (cache) => {
    const noise = startNoise(3, 0, 40, 1100);
    const set = (scale: number, offset: number, dimension: number) =>
      new Dataset({
        data: Float32Array.from(noise, (e) => scale * e + offset),
        shape: [dimension],
        name: "noise",
      });
    const sets = [
      ...[set(1, 1e6, 440), set(1e-6, 1, 440), set(1e9, 0, 440), set(1, 0, 1100)],
      ...[set(0, 3, 440), set(0, 0, 440), set(1, 1e4, 1100)],
    ];
    for (const [k, data] of sets.entries()) {
      const first = await dataSpectrum(data, { cache });
      let calls = 0;
      assertSame(await dataSpectrum(data, { cache, onProgress: () => calls++ }), first);
      assert.equal(calls, 0, `set ${k}`);
    }
  });
});

Deno.test("dataSpectrum() keeps different data apart in its cache", async () => {
  await withFolder(async (cache) => {
    const { data } = images(300);
    const sets = [
      new Dataset({ data, shape: [256], name: "x" }),
      new Dataset({ data, shape: [256], range: [0, 1], name: "x" }),
      new Dataset({ data, shape: [300], name: "x" }),
      new Dataset({ data: Float32Array.from(data), shape: [256], name: "x" }),
      new Dataset({ data: data.with(0, data[0] ^ 1), shape: [256], name: "x" }),
      new Dataset({ data: data.subarray(256), shape: [256], name: "x" }),
    ];
    const computed: Spectrum[] = [];
    for (const set of sets) computed.push(await dataSpectrum(set, { cache }));
    assert.equal([...Deno.readDirSync(cache)].length, sets.length);
    for (const [k, set] of sets.entries()) {
      assertSame(await dataSpectrum(set, { cache }), computed[k]);
    }
  });
});

Deno.test("dataSpectrum() keeps nothing of few dimensions, and nothing of what was cancelled", async () => {
  await withFolder(async (cache) => {
    const few = new Dataset({ data: Float32Array.of(1, 2, 3), shape: [1], name: "numbers" });
    await dataSpectrum(few, { cache });
    for (const calls of [1, 3]) {
      const stop = new AbortController();
      let left = calls;
      const running = dataSpectrum(images(1100), {
        cache,
        signal: stop.signal,
        onProgress: () => {
          if (--left === 0) stop.abort(new RangeError("enough"));
        },
      });
      await assert.rejects(running, /enough/);
    }
    assert.deepEqual([...Deno.readDirSync(cache)], []);
  });
});

Deno.test("dataSpectrum() does without a cache, and without asking, when it may not write", async () => {
  await withFolder(async (folder) => {
    const root = new URL("../../../", import.meta.url);
    const code = `import { Dataset, dataSpectrum } from "${root}mod.ts";
      const data = Uint8Array.from({ length: 256 * 9 }, (_, i) => i * i % 251);
      const set = new Dataset({ data, shape: [256], name: "numbers" });
      console.log((await dataSpectrum(set, { cache: "${folder}" })).variances.length);`;
    const script = await write(folder, "script.ts", code);
    for (const permissions of [["--allow-env"], ["--allow-env", "--allow-read"]]) {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--no-check",
          ...permissions,
          "--config",
          `${fromFileUrl(root)}deno.json`,
          script,
        ],
      }).output();
      assert.equal(new TextDecoder().decode(stdout), "256\n", new TextDecoder().decode(stderr));
    }
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["script.ts"]);
  });
});

Deno.test("dataSpectrum() by threads is that of plain loops", async () => {
  const set = images(400);
  const { variances } = await dataSpectrum(set, { cache: false });
  const { values } = referenceEigen(referenceMoments(set).covariance, 256);
  // Both are off by the rounding of a backward stable method.
  assertClose(variances, values, 256 * Number.EPSILON * values[0], "variances");
});

Deno.test("dataSpectrum() of few items of many dimensions is found from the items", async () => {
  await withFolder(async (cache) => {
    const count = 60, d = 1100;
    const noise = startNoise(9, 0, count, d);
    const data = Uint8Array.from(
      noise,
      (e, i) => Math.max(0, Math.min(255, 128 + (5 + i % 90) * e)),
    );
    // An item that comes twice takes a direction away.
    data.set(data.subarray(0, d), d);
    const set = new Dataset({ data, shape: [d], name: "few items" });
    const shares: number[] = [];
    const onProgress = (done: number, total: number) => shares.push(done / total);
    const spectrum = await dataSpectrum(set, { cache, onProgress });
    const { mean, variances, basis, floor } = spectrum;
    assert.equal(variances.length, count - 2);
    assert.equal(basis.length, (count - 2) * d);
    assert.equal(floor, 0);
    assertSame(await dataSpectrum(set, { cache }), spectrum);
    assert.equal(shares.at(-1), 1);
    // The covariance takes each direction to its variance times itself; directions are orthonormal.
    const { covariance } = referenceMoments(set);
    const limit = d * Number.EPSILON;
    for (let k = 0; k < variances.length; k += 3) {
      const u = basis.subarray(k * d, (k + 1) * d);
      const image = u.map((_, a) => u.reduce((sum, v, c) => sum + covariance[a * d + c] * v, 0));
      assertClose(image, u.map((v) => v * variances[k]), limit * variances[0], "Σ u = λ u");
      for (let j = 0; j < variances.length; j++) {
        const overlap = u.reduce((sum, v, c) => sum + v * basis[j * d + c], 0);
        assert.ok(Math.abs(overlap - (j === k ? 1 : 0)) <= limit, `overlap ${overlap}`);
      }
    }
    const trace = covariance.reduce((sum, v, at) => at % (d + 1) === 0 ? sum + v : sum, 0);
    assertClose([variances.reduce((a, b) => a + b, 0)], [trace], limit * trace, "trace");
    assertClose(mean, set.mean(), 0, "mean");
    // More than there are is all there are; the floor fills the rest.
    assert.equal((await dataSpectrum(set, { cache, rank: 200 })).variances.length, count - 2);
    assert.equal((await dataSpectrum(set, { cache, floor: 0.1 })).floor, 0.1);
    const stop = new AbortController();
    const running = dataSpectrum(set, {
      cache: false,
      signal: stop.signal,
      onProgress: () => stop.abort(new RangeError("enough")),
    });
    await assert.rejects(running, /enough/);
  });
});

Deno.test("dataSpectrum() of items that agree has no direction at all", async () => {
  const set = new Dataset({ data: new Uint8Array(3 * 1100).fill(7), shape: [1100], name: "same" });
  const { variances } = await dataSpectrum(set, { cache: false });
  assert.ok(variances.every((v) => v === 0));
});
