import * as m from "../../_helpers/all_entries.ts";
import { openDevice } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { exactProxy } from "../../../src/denoisers/golden/proxy.ts";
import type { AnyTensor } from "@closedform/diffusion";
import type { SubsetSchedule } from "../../../src/denoisers/golden/schedule.ts";
import { ScheduledSearch } from "../../../src/denoisers/golden/scheduled_search.ts";
import type {
  ScheduledSearchOptions,
  Selection,
} from "../../../src/denoisers/golden/scheduled_search.ts";
import { assertMean } from "../../_helpers/statistics.ts";
import { assertClose } from "../../_helpers/tolerance.ts";
import { optimalFloat64 } from "../../_helpers/float64.ts";

// Numbers in order of their distance to the query at 0, so that the places of the nearest are the first.
const COUNT = 120;
const points = { data: Float32Array.from({ length: COUNT }, (_, i) => i / 10), dimension: 1 };
const SIZES: SubsetSchedule = { name: "described", sizes: () => ({ k: 21, m: 60 }) };
const HEAD = [...Array(11).keys()];

interface Question {
  readonly sigma: number;
  readonly sample: number;
}

/** What is found for some samples at some levels, in one batch. */
async function found(
  questions: readonly Question[],
  options: ScheduledSearchOptions,
  schedule = SIZES,
): Promise<Selection[]> {
  using device = await openDevice("float64");
  const store = await device.store(points);
  const search = new ScheduledSearch(store, exactProxy(store), schedule, options);
  const x = tensorSpace.from(new Float32Array(questions.length), [questions.length, 1]);
  try {
    return await search.find({
      x,
      sigmas: Float64Array.from(questions, ({ sigma }) => sigma),
      samples: questions.map(({ sample }) => sample),
    });
  } finally {
    x.dispose();
    store.dispose();
  }
}

const tailOf = ({ rows }: Selection) => [...rows].slice(HEAD.length);
const massOf = (row: number, sigma: number) => Math.exp(-((row / 10) ** 2) / (2 * sigma ** 2));
const total = (sigma: number) =>
  Array.from({ length: COUNT }, (_, row) => massOf(row, sigma)).reduce((a, b) => a + b);

Deno.test("ScheduledSearch keeps a sampled tail from a share of 1e-4 of the mass on, and tells the share", async () => {
  // Levels at which the tail is from nothing to most of the mass.
  const questions = Array.from({ length: 4000 }, (_, sample) => ({
    sample,
    sigma: 0.2 * 20 ** (sample / 4000),
  }));
  const shares = { below: 0, just: 0, few: 0, many: 0 };
  (await found(questions, { tail: true })).forEach((selection, q) => {
    const { sigma } = questions[q];
    const share = selection.estimate!;
    if (share < 1e-4) {
      // Half a subset is not spent on nothing.
      assert.equal(selection.logWeights, undefined);
      assert.deepEqual([...selection.rows], [...Array(21).keys()]);
      shares.below++;
      return;
    }
    shares[share < 2e-4 ? "just" : share < 0.1 ? "few" : "many"]++;
    assert.deepEqual([...selection.rows].slice(0, 11), HEAD);
    const weight = (COUNT - 11) / 10, tail = tailOf(selection);
    assert.equal(new Set(tail).size, 10);
    assert.ok(tail.every((row) => row > 10 && row < COUNT));
    assertClose(
      selection.logWeights!,
      [...HEAD.map(() => 0), ...tail.map(() => Math.log(weight))],
      0,
      "weights",
    );
    const inside = HEAD.reduce((sum, row) => sum + massOf(row, sigma), 0);
    const outside = tail.reduce((sum, row) => sum + weight * massOf(row, sigma), 0);
    // Rows are float32, and their masses at most a few hundred nats from 1.
    assertClose([share], [outside / (inside + outside)], 1e-5, "share");
    assert.ok(Number.isNaN(selection.discarded) && Number.isNaN(selection.gap));
  });
  assert.ok(shares.below > 500 && shares.just > 10 && shares.few > 500 && shares.many > 500);
});

Deno.test("ScheduledSearch estimates the mass of all items without bias", async () => {
  const sigma = 2;
  const questions = Array.from({ length: 3000 }, (_, sample) => ({ sample, sigma }));
  const masses = (await found(questions, { tail: true })).map(({ logits }) =>
    logits.reduce((sum, logit) => sum + Math.exp(logit), 0) / total(sigma)
  );
  assertMean("mass", masses, 1, 4);
  // A third of it is estimated, so that a wrong weight would be seen.
  assert.ok(HEAD.reduce((sum, row) => sum + massOf(row, sigma), 0) / total(sigma) < 0.7);
});

Deno.test("ScheduledSearch draws anew for each seed, sample and noise level, whatever the batch", async () => {
  const questions = [[0, 5], [1, 5], [0, 5.001], [0, 3]].map(([sample, sigma]) => ({
    sample,
    sigma,
  }));
  const drawn = async (
    questions: readonly Question[],
    options: ScheduledSearchOptions,
    schedule?: SubsetSchedule,
  ) => (await found(questions, options, schedule)).map((selection) => [...selection.rows].join());
  const pool: SubsetSchedule = { name: "random", sizes: () => ({ k: 10, m: 10, pool: 10 }) };
  for (const schedule of [SIZES, pool]) {
    const options = { tail: schedule === SIZES };
    const together = await drawn(questions, options, schedule);
    assert.equal(new Set(together).size, 4);
    for (const [q, question] of questions.entries()) {
      assert.deepEqual(await drawn([question], options, schedule), [together[q]]);
    }
    const other = await drawn(questions, { ...options, seed: 1 }, schedule);
    assert.equal(new Set([...together, ...other]).size, 8);
  }
});

Deno.test("ScheduledSearch gives each of several draws of one sample a tail of its own", async () => {
  const draws = Array.from({ length: 6 }, () => ({ sample: 3, sigma: 5 }));
  const tails = (await found(draws, { tail: true })).map(({ rows }) => [...rows].join());
  assert.equal(new Set(tails).size, 6);
  const [alone] = await found(draws.slice(0, 1), { tail: true });
  assert.equal([...alone.rows].join(), tails[0]);
});

Deno.test("ScheduledSearch bounds the mass of many items of which each alone is nothing", async () => {
  // The kept item and another one where the query is, and a million of next to no weight.
  const others = 1_000_000, sigma = 0.1, place = Math.fround(sigma * Math.sqrt(2 * 40.01));
  const data = new Float32Array(others + 2).fill(place, 2);
  using device = await openDevice("float64");
  const store = await device.store({ data, dimension: 1 });
  const one: SubsetSchedule = { name: "described", sizes: () => ({ k: 1, m: 1 }) };
  const x = tensorSpace.from([0], [1, 1]);
  const batch = { x, sigmas: Float64Array.of(sigma), samples: [0] };
  const [{ rows, discarded }] = await new ScheduledSearch(store, exactProxy(store), one).find(
    batch,
  );
  assert.deepEqual([...rows], [0]);
  const mass = others * Math.exp(-(place * place) / (2 * sigma * sigma));
  const left = (1 + mass) / (2 + mass);
  assert.ok(left > 0.5 + 2 ** -41 && discarded >= left, `${discarded} of ${left}`);
  assert.ok(discarded < left + 1e-11);
  x.dispose();
  store.dispose();
});

Deno.test("ScheduledSearch without a tail bounds what it leaves out, and of all items nothing", async () => {
  const [some] = await found([{ sample: 0, sigma: 1 }], {});
  assert.deepEqual([...some.rows], [...Array(21).keys()]);
  const left = 1 - [...some.rows].reduce((sum, row) => sum + massOf(row, 1), 0) / total(1);
  assert.ok(some.discarded >= left * (1 - 1e-6) && some.discarded < 1.001 * left);
  assertClose([some.gap], [2.1 ** 2 / 2], 1e-6, "gap");
  const all: SubsetSchedule = { name: "described", sizes: () => ({ k: COUNT, m: COUNT }) };
  for (const tail of [false, true]) {
    const [whole] = await found([{ sample: 0, sigma: 1 }], { tail }, all);
    assert.deepEqual([whole.rows.length, whole.discarded], [COUNT, 0]);
    assert.equal(whole.gap, Infinity);
  }
});

Deno.test("a scheduled subset that misses what is nearest by more nats than numbers hold bounds its share by 1", async () => {
  using device = await m.openDevice("wasm");
  // A proxy that is misled: it finds the farthest items, and bounds nothing.
  const data = Float32Array.from({ length: 100 }, (_, i) => i);
  const set = new m.Dataset({ data, shape: [1], name: "a line" });
  using exact = await m.optimal(set, { device });
  const proxy: m.RetrievalProxy = {
    label: "misled",
    count: 100,
    dimension: 1,
    measure: (x) => {
      const squares = Array.from(
        { length: (x as AnyTensor).shape[0] },
        () => Float64Array.from(data, (v) => -v),
      );
      return Promise.resolve({ squares, bounds: () => new Float64Array(100) });
    },
    dispose() {},
    [Symbol.dispose]() {},
  };
  for (const sigma of [1e-3, 0.1, 1, 100]) {
    using golden = await m.goldenSubset(exact, { proxy, k: 10, m: 20, tail: false });
    const x = m.tensorSpace.from([0], [1, 1]);
    const { mean, capturedMass, errorBound, subsetSize } = await golden.denoise(x, sigma);
    const [found] = await m.tensorSpace.values(mean);
    const { mean: [wanted] } = await optimalFloat64(set).denoise(Float64Array.of(0), sigma);
    assert.equal(subsetSize[0], 10);
    assert.ok(capturedMass[0] >= 0 && capturedMass[0] <= 0.1, `${capturedMass[0]} at ${sigma}`);
    assert.ok(Math.abs(found - wanted) <= errorBound[0], `${found} ${wanted} ${errorBound[0]}`);
    m.tensorSpace.dispose(x, mean);
  }
});

Deno.test("a golden subset of small regular images runs through a grid that ends far below their distances", async () => {
  using device = await m.openDevice("wasm");
  const set = m.tinyShapes(1000);
  using exact = await m.optimal(set, { device });
  using golden = await m.goldenSubset(exact);
  const { x, denoised, steps } = await m.sample(golden, {
    count: 64,
    sampler: m.heun(),
    grid: m.ddpmGrid(6),
    seed: 1,
    output: "tensor",
  });
  for (const { facts } of steps) assert.ok(facts!.capturedMass!.every((v) => v >= 0 && v <= 1));
  m.tensorSpace.dispose(x, denoised);
});

Deno.test("golden subsets of images of any sides find a proxy", async () => {
  using device = await m.openDevice("wasm");
  for (const [height, width] of [[218, 178], [50, 33], [9, 10], [13, 13], [1, 7]]) {
    const size = height * width, count = 30;
    const data = Uint8Array.from(m.startNoise(1, 0, count, size), (e) => 128 + 40 * e);
    const set = new m.Dataset({ data, shape: [height, width, 1], name: "noise" });
    using exact = await m.optimal(set, { device });
    // All items are candidates, so that any proxy gives the same.
    using golden = await m.goldenSubset(exact, { k: 30, m: 30, tail: false });
    const x = m.tensorSpace.from(set.values(3), [1, height, width, 1]);
    const [a, b] = [await golden.denoise(x, 1), await exact.denoise(x, 1)];
    const [found, wanted] = await Promise.all([a, b].map(({ mean }) => m.tensorSpace.values(mean)));
    found.forEach((v, i) => assert.ok(Math.abs(v - wanted[i]) < 1e-5));
    m.tensorSpace.dispose(x, a.mean, b.mean);
  }
});
