import type { GaussianLaw, NpyArray, ReadGaussianLawOptions } from "@closedform/diffusion";
import {
  DatasetError,
  encodeNpz,
  gaussianLaw,
  lowRank,
  RandomStream,
  readGaussianLaw,
} from "@closedform/diffusion";
import { denoiseGaussian } from "@closedform/diffusion/theory";
import { fromFileUrl } from "@std/path";
import { unzipSync, zipSync } from "fflate";
import assert from "node:assert/strict";
import { EPS32 } from "../../_helpers/tolerance.ts";

const FIXTURE = fromFileUrl(new URL("../../fixtures/pca.pt", import.meta.url));
const [HEIGHT, WIDTH, CHANNELS, COUNT] = [2, 3, 3, 40], D = HEIGHT * WIDTH * CHANNELS;
const SHAPE = [HEIGHT, WIDTH, CHANNELS];

/** The images of the fixture, as its script has them, but channels last. */
const images = Array.from({ length: COUNT }, (_, i) =>
  Float64Array.from({ length: D }, (_, at) => {
    const j = Math.floor(at / CHANNELS) + HEIGHT * WIDTH * (at % CHANNELS);
    return ((7 * i + 3 * j * j + 5 * i * j) % 17) / 16;
  }));

/** Mean and covariance with divisor N − 1, of images `scale · p + offset`. */
function momentsOf(scale: number, offset: number) {
  const rows = images.map((row) => row.map((v) => scale * v + offset));
  const mean = rows[0].map((_, c) => rows.reduce((sum, row) => sum + row[c], 0) / COUNT);
  const covariance = Float64Array.from({ length: D * D }, (_, at) => {
    const [a, b] = [Math.floor(at / D), at % D];
    const sum = rows.reduce((sum, row) => sum + (row[a] - mean[a]) * (row[b] - mean[b]), 0);
    return sum / (COUNT - 1);
  });
  return { mean, covariance };
}

function covarianceOf({ variances, basis, floor }: GaussianLaw): Float64Array {
  return Float64Array.from({ length: D * D }, (_, at) => {
    const [a, b] = [Math.floor(at / D), at % D];
    let sum = a === b ? floor : 0;
    variances.forEach((v, k) => sum += (v - floor) * basis![k * D + a] * basis![k * D + b]);
    return sum;
  });
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  return Array.from(a, (v, i) => Math.abs(v - b[i])).reduce((most, v) => Math.max(most, v), 0);
}

async function inFile<T>(bytes: Uint8Array, body: (file: string) => Promise<T>): Promise<T> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, bytes);
    return await body(file);
  } finally {
    await Deno.remove(file);
  }
}

/** The arrays of a law as others store them: variances that rise, a direction per column. */
function arraysOf({ mean, variances, basis }: GaussianLaw): Record<string, NpyArray> {
  const d = mean.length, r = variances.length;
  const array = (data: Float64Array, shape: number[]) => ({ data, shape, dtype: "f8" });
  return {
    imgmean: array(mean, [d]),
    eigval: array(variances.toReversed(), [r]),
    eigvec: array(
      Float64Array.from(
        { length: d * r },
        (_, at) => basis![(r - 1 - at % r) * d + Math.floor(at / r)],
      ),
      [d, r],
    ),
  };
}

const whole = gaussianLaw(momentsOf(2, -1).mean, momentsOf(2, -1).covariance) as
  & GaussianLaw
  & { basis: Float64Array };
const read = (arrays: Record<string, NpyArray>, options?: ReadGaussianLawOptions) =>
  inFile(encodeNpz(arrays), (file) => readGaussianLaw(file, options));

Deno.test("readGaussianLaw() reads what PyTorch saved: the law of the same images, channels last, in [-1, 1]", async () => {
  const law = await readGaussianLaw(FIXTURE, { shape: SHAPE });
  const { mean, covariance } = momentsOf(2, -1);
  // Sums of 40 numbers up to 1 in float32.
  assert.ok(largestDifference(law.mean, mean) < 2 * COUNT * EPS32);
  // Sums of 40 products up to 1, less numbers of that size, over 39; then the decomposition; times four.
  const tolerance = 4 * (2 * COUNT * EPS32 + D * EPS32 * law.variances[0] / 4);
  const difference = largestDifference(covarianceOf(law), covariance);
  assert.ok(difference < tolerance && tolerance < 1e-4, `${difference} ${tolerance}`);
  assert.ok(law.variances.every((v, k) => v >= 0 && v <= (law.variances[k - 1] ?? Infinity)));
  // In the order of the file it is another law of the same spectrum.
  const unordered = await readGaussianLaw(FIXTURE);
  assert.deepEqual(unordered.variances, law.variances);
  assert.ok(largestDifference(covarianceOf(unordered), covariance) > 0.1);
});

Deno.test("readGaussianLaw() gives back the bits of a law in [-1, 1], and converts one in [0, 1] and in [0, 255]", async () => {
  const same = await read(arraysOf(whole), { range: [-1, 1] });
  assert.deepEqual([same.mean, same.variances, same.basis], [
    whole.mean,
    whole.variances,
    whole.basis,
  ]);
  for (const high of [1, 255]) {
    const { mean, covariance } = momentsOf(high, 0);
    const law = await read(arraysOf(gaussianLaw(mean, covariance)), { range: [0, high] });
    const stream = new RandomStream({ seed: 4, purpose: "theory" });
    for (const sigma of [0.05, 1, 20]) {
      const x = Float64Array.from(images[3], (v) => 2 * v - 1 + sigma * stream.normal());
      const [ours, wanted] = [law, whole].map((law) => denoiseGaussian(law, x, sigma));
      // Two decompositions of matrices that differ by rounding, and numbers up to |x|.
      const size = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
      assert.ok(largestDifference(ours, wanted) < 1000 * D * Number.EPSILON * size);
    }
  }
});

Deno.test("readGaussianLaw() keeps a rank and a floor, and takes files of fewer directions", async () => {
  const options: ReadGaussianLawOptions = { range: [-1, 1] };
  for (const floor of [undefined, 0, 0.3]) {
    const law = await read(arraysOf(whole), { ...options, rank: 5, floor });
    assert.deepEqual(law, lowRank(whole, 5, floor));
  }
  const few = lowRank(whole, 4, 0);
  const law = await read(arraysOf(few), options);
  assert.deepEqual([law.variances, law.basis, law.floor], [few.variances, few.basis, 0]);
  assert.equal((await read(arraysOf(few), { ...options, rank: 9 })).variances.length, 4);
  assert.equal((await read(arraysOf(few), { ...options, floor: 0.01 })).floor, 0.01);
});

Deno.test("readGaussianLaw() raises variances below 0 by rounding to 0, and refuses others", async () => {
  const arrays = arraysOf(whole), eigval = arrays.eigval.data as Float64Array;
  const least = (value: number) => ({
    ...arrays,
    eigval: { ...arrays.eigval, data: eigval.with(0, value) },
  });
  assert.equal((await read(least(-1e-7))).variances.at(-1), 0);
  await assert.rejects(read(least(-1e-3)), DatasetError);
});

Deno.test("readGaussianLaw() refuses arrays that are missing or do not fit, in one line each", async () => {
  const arrays = arraysOf(whole), few = arraysOf(lowRank(whole, 4, 0));
  const { imgmean: _, ...incomplete } = arrays;
  const cases: [Record<string, NpyArray>, RegExp][] = [
    [incomplete, /the arrays \[eigval, eigvec\], wanted all of them/],
    [{ ...arrays, eigvec: few.eigvec }, /eigvec \[18,4\], wanted \[d\], \[r\] and \[d,r\]/],
    [{ ...few, eigvec: { ...few.eigvec, shape: [4, 18] } }, /eigvec \[4,18\]/],
    [{ ...arrays, imgmean: few.eigval }, /imgmean \[4\]/],
    [{ ...few, eigval: { ...few.eigval, shape: [2, 2] } }, /eigval \[2,2\]/],
    [
      { ...few, eigvec: { ...few.eigvec, data: few.eigvec.data.map((v) => 2 * v) } as NpyArray },
      /a column of length 2/,
    ],
  ];
  for (const [given, message] of cases) {
    await assert.rejects(read(given), (error: Error) => {
      assert.ok(error instanceof DatasetError, String(error));
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }
  await assert.rejects(read(arrays, { shape: [2, 3, 2] }), TypeError);
  for (const range of [[1, 0], [0, 0], [0, NaN], [0, Infinity]] as [number, number][]) {
    await assert.rejects(read(arrays, { range }), RangeError);
  }
  for (const rank of [-1, 1.5, NaN]) await assert.rejects(read(arrays, { rank }), RangeError);
  await assert.rejects(read(arrays, { floor: -1 }), RangeError);
  await assert.rejects(readGaussianLaw("no/such/file.npz"), DatasetError);
});

const saved = unzipSync(await Deno.readFile(FIXTURE));
const PICKLE = Object.keys(saved).find((name) => name.endsWith("/data.pkl"))!;

/** The fixture with another pickle. */
function withPickle(pickle: Uint8Array): Promise<GaussianLaw> {
  return inFile(zipSync({ ...saved, [PICKLE]: pickle }), (file) => readGaussianLaw(file));
}

Deno.test("readGaussianLaw() calls nothing that a pickle names, and refuses what makes no tensors", async () => {
  const text = new TextEncoder();
  const refused: [string, RegExp][] = [
    ["\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.", /a call of posix.system/],
    ["\x80\x02c__builtin__\neval\n)R.", /a call of __builtin__.eval/],
    ["\x80\x02}q\0(X\x01\0\0\0acbuiltins\nexec\n)Ru.", /a call of builtins.exec/],
    ["cposix\nsystem\n(S'true'\ntR.", /the instruction 0x53/],
    ["\x80\x04\x95\0\0\0\0\0\0\0\0.", /the instruction 0x95/],
    ["\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", /a call of collections.OrderedDict/],
    ["\x80\x02K\x05.", /no dictionary/],
    ["\x80\x02}(K\x01K\x02u", /an end too early/],
    ["t.", /more taken than was put/],
  ];
  for (const [pickle, message] of refused) {
    const bytes = pickle.includes("\x80") || pickle.includes("\x85") || pickle.includes("\x95")
      ? Uint8Array.from(pickle, (c) => c.charCodeAt(0))
      : text.encode(pickle);
    await assert.rejects(withPickle(bytes), (error: Error) => {
      assert.ok(error instanceof DatasetError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("readGaussianLaw() takes or refuses a damaged pickle, whatever the damage", async () => {
  const pickle = saved[PICKLE], stream = new RandomStream({ seed: 1, purpose: "theory" });
  await withPickle(pickle);
  for (let length = 0; length < pickle.length; length += 5) {
    await assert.rejects(withPickle(pickle.subarray(0, length)), DatasetError, `${length}`);
  }
  let refused = 0;
  for (let round = 0; round < 200; round++) {
    const damaged = pickle.with(stream.below(pickle.length), stream.below(256));
    await withPickle(damaged).catch((error) => {
      assert.ok(error instanceof DatasetError, `${error} ${error.stack}`);
      refused++;
    });
  }
  assert.ok(refused > 50, `${refused}`);
});

Deno.test("readGaussianLaw() takes tensors of 64 bits, and refuses numbers that are missing, too few or of other types", async () => {
  const folder = PICKLE.slice(0, -"data.pkl".length);
  const numbers = Object.keys(saved).filter((name) => name.startsWith(`${folder}data/`));
  assert.equal(numbers.length, 3);
  const renamed = (type: string) =>
    Uint8Array.from(
      String.fromCharCode(...saved[PICKLE]).replaceAll("FloatStorage", type),
      (c) => c.charCodeAt(0),
    );
  const readFiles = (files: Record<string, Uint8Array>) =>
    inFile(zipSync(files), (file) => readGaussianLaw(file));
  const doubles = Object.fromEntries(numbers.map((name) => {
    const floats = Float64Array.from(new Float32Array(saved[name].slice().buffer));
    return [name, new Uint8Array(floats.buffer)];
  }));
  assert.deepEqual(
    await readFiles({ ...saved, ...doubles, [PICKLE]: renamed("DoubleStorage") }),
    await readGaussianLaw(FIXTURE),
  );
  const { [numbers[1]]: _, ...missing } = saved;
  const cases: [Record<string, Uint8Array>, RegExp][] = [
    [missing, /found no .*data\/1/],
    [
      { ...saved, [numbers[1]]: saved[numbers[1]].subarray(4) },
      /found 323 numbers, wanted at least 324/,
    ],
    [{ ...saved, [PICKLE]: renamed("HalfStorage") }, /numbers of type torch.HalfStorage/],
    [{ ...saved, [`${folder}byteorder`]: new TextEncoder().encode("big") }, /big-endian/],
  ];
  for (const [files, message] of cases) {
    await assert.rejects(readFiles(files), (error: Error) => {
      assert.ok(error instanceof DatasetError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});
