import type { DataStore, Device, PointSet } from "@closedform/diffusion";
import type { CertifiedSubset, SearchQuery } from "@closedform/diffusion/theory";
import { Dataset, openDevice, RandomStream, shapes, startNoise } from "@closedform/diffusion";
import { CertifiedSearch } from "@closedform/diffusion/theory";
import { referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { affineOf } from "../../../src/compute/posterior.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";

const devices = await testDevices();

/** The share of the posterior mass outside some rows, and the logit gap to them, in float64. */
function truth(points: PointSet, query: ArrayLike<number>, sigma: number, rows: Uint32Array) {
  const { data, dimension } = points;
  const { scale, offset } = affineOf(points);
  const logits = Float64Array.from({ length: data.length / dimension }, (_, i) => {
    let square = 0;
    for (let c = 0; c < dimension; c++) {
      square += (query[c] - (data[i * dimension + c] * scale + offset)) ** 2;
    }
    return -square / (2 * sigma * sigma);
  });
  const top = logits.reduce((a, b) => Math.max(a, b));
  const kept = new Set(rows);
  let inside = 0, outside = 0, next = -Infinity;
  logits.forEach((l, i) => {
    if (kept.has(i)) inside += Math.exp(l - top);
    else {
      outside += Math.exp(l - top);
      next = Math.max(next, l);
    }
  });
  return { discarded: outside / (inside + outside), gap: top - next };
}

/** Clustered points or bytes, so that subsets of all sizes occur. */
function randomPoints(stream: RandomStream): PointSet & { count: number } {
  const count = 2 + stream.below(150), dimension = 1 + stream.below(12);
  const clusters = 1 + stream.below(6), width = 10 ** (-2 + 2 * stream.uniform());
  const centres = Array.from({ length: clusters * dimension }, () => stream.normal());
  const values = Float32Array.from({ length: count * dimension }, (_, at) => {
    const cluster = Math.floor(at / dimension) % clusters;
    return centres[cluster * dimension + at % dimension] + width * stream.normal();
  });
  const bytes = stream.below(2) === 1;
  const data = bytes
    ? Uint8Array.from(values, (v) => Math.min(255, Math.max(0, 128 + 40 * v)))
    : values;
  return { data, dimension, count };
}

/** A trajectory of random queries with arbitrary moves: mostly a DDIM step, sometimes a leap. */
function nextQuery(points: PointSet, query: SearchQuery, stream: RandomStream): SearchQuery {
  const sigma = query.sigma * (0.2 + 0.8 * stream.uniform());
  const { mean } = referencePosterior(points, query.values, query.sigma);
  const leap = stream.below(8) === 0 ? query.sigma * stream.normal() : 0;
  const rho = sigma / query.sigma;
  const values = query.values.map((x, c) => rho * x + (1 - rho) * mean[c] + leap);
  const most = 10 ** (-8 * stream.uniform() - 0.01);
  return { ...query, values, sigma, most };
}

async function checkCertificates(device: Device, sets: number): Promise<Record<string, number>> {
  const seen = { cases: 0, certified: 0, transported: 0 };
  for (let set = 0; set < sets; set++) {
    const stream = new RandomStream({ seed: set, purpose: "theory" });
    const points = randomPoints(stream);
    const store = await device.store(points);
    const search = new CertifiedSearch(store, {
      retained: 1 + stream.below(points.count),
      spread: 1,
    });
    let queries = Array.from({ length: 4 }, (_, sample): SearchQuery => ({
      values: Float32Array.from({ length: points.dimension }, () => 2 * stream.normal()),
      sigma: 10 ** (1 - 2 * stream.uniform()),
      sample,
      most: 10 ** (-6 * stream.uniform() - 0.01),
    }));
    for (let step = 0; step < 6; step++) {
      const found = await search.find(queries);
      found.forEach((subset, q) => {
        seen.cases++;
        if (!subset) return;
        seen.certified++;
        if (subset.transported) seen.transported++;
        const { values, sigma, most } = queries[q];
        const { discarded, gap } = truth(points, values, sigma, subset.rows);
        const what = `set ${set}, step ${step}, query ${q}, transported ${subset.transported}`;
        assert.ok(subset.discarded <= most, `${what}: promised ${subset.discarded} of ${most}`);
        // The oracle rounds its logits: their size times a few units in the last place.
        const logits = 1e-13 *
          (1 + referencePosterior(points, values, sigma).facts.topLogit[0] ** 2) ** 0.5;
        assert.ok(
          discarded <= subset.discarded * (1 + logits) + 1e-300,
          `${what}: left out ${discarded}, certified ${subset.discarded}`,
        );
        const least = subset.gap - 1e-12 * Math.abs(subset.gap) - logits;
        assert.ok(
          gap === subset.gap || gap >= least,
          `${what}: gap ${gap}, at least ${subset.gap}`,
        );
        assert.equal(new Set(subset.rows).size, subset.rows.length, what);
      });
      queries.forEach((query, q) => search.tell(query, found[q]?.rows.length ?? 1));
      queries = queries.map((query) => nextQuery(points, query, stream));
    }
    store.dispose();
  }
  return seen;
}

Deno.test("CertifiedSearch is never wrong in ten thousand certificates, transported ones among them [reference]", async () => {
  using device = await openDevice("float64");
  const { cases, certified, transported } = await checkCertificates(device, 960);
  assert.ok(
    cases > 20_000 && certified >= 10_000 && transported > 8000,
    `${cases} ${certified} ${transported}`,
  );
});

Deno.test("CertifiedSearch is never wrong in random cases [wasm]", async () => {
  using device = await openDevice("wasm");
  const { certified, transported } = await checkCertificates(device, 150);
  assert.ok(certified > 1500 && transported > 1000, `${certified} ${transported}`);
});

Deno.test("CertifiedSearch allows for the rounding of huge logits", async () => {
  using device = await openDevice("float64");
  const stream = new RandomStream({ seed: 7, purpose: "theory" });
  let certified = 0, transported = 0;
  for (let set = 0; set < 150; set++) {
    // Whole numbers at about 2^23.5 from the query: squares and their differences are exact here, and logits of 1e8
    // are off by 1e-8 there.
    const count = 60, radius = 2 ** 23.5;
    const rows = Array.from({ length: count }, () => {
      const a = 2 ** 22 + stream.below(2 ** 22);
      return [a, Math.round(Math.sqrt(radius ** 2 - a * a)) + stream.below(3)];
    });
    const data = Float32Array.from(rows.flat());
    const squares = Array.from(
      { length: count },
      (_, i) => data[2 * i] ** 2 + data[2 * i + 1] ** 2,
    );
    const least = Math.min(...squares);
    const store = await device.store({ data, dimension: 2 });
    const search = new CertifiedSearch(store, { retained: set % 2 ? 40 : count, spread: 1e15 });
    // The query stays, so that the second search is transported.
    for (const sigma of [1200, 1000]) {
      const query = {
        values: new Float32Array(2),
        sigma,
        sample: 0,
        most: 0.3 * stream.uniform() + 1e-3,
      };
      const [found] = await search.find([query]);
      if (!found) continue;
      certified++;
      if (found.transported) transported++;
      const kept = new Set(found.rows);
      let inside = 0, outside = 0;
      squares.forEach((square, i) => {
        const mass = Math.exp(-(square - least) / (2 * sigma * sigma));
        if (kept.has(i)) inside += mass;
        else outside += mass;
      });
      const left = outside / (inside + outside);
      // The sums here are of 60 terms.
      assert.ok(left <= found.discarded * (1 + 60 * 2 ** -53), `${left}, ${found.discarded}`);
    }
    store.dispose();
  }
  assert.ok(certified > 100 && transported > 50, `${certified} ${transported}`);
});

testOnDevices(
  devices,
  "CertifiedSearch searches once for a trajectory and measures a few rows later",
  (device) =>
    withoutLeaks(async () => {
      const points = shapes(400);
      const inner = await device.store(points);
      let scans = 0;
      const store: DataStore = {
        ...methods(inner),
        nearest: (...args) => (scans++, inner.nearest(...args)),
      };
      const search = new CertifiedSearch(store, { retained: 64, spread: 500 });
      let query: SearchQuery = {
        values: Float32Array.from(
          startNoise(1, 0, 1, points.dimension),
          (e, c) => points.data[c] / 127.5 - 1 + 1.5 * e,
        ),
        sigma: 1.5,
        sample: 3,
        most: 1e-4,
      };
      const sizes: number[] = [];
      let last: CertifiedSubset | undefined;
      for (const sigma of [1, 0.5, 0.2, 0.05, 0.01]) {
        [last] = await search.find([query]);
        assert.ok(last);
        // The same query again, also right after the search, needs no other one.
        const [again] = await search.find([query]);
        assert.ok(again!.transported && scans === 1);
        sizes.push(last.rows.length);
        const { discarded } = truth(points, query.values, query.sigma, last.rows);
        assert.ok(discarded <= last.discarded + 1e-12);
        const { mean } = referencePosterior(points, query.values, query.sigma);
        const rho: number = sigma / query.sigma;
        query = {
          ...query,
          sigma,
          values: query.values.map((x, c) => rho * x + (1 - rho) * mean[c]),
        };
      }
      assert.equal(scans, 1, "searches");
      assert.ok(last!.transported && sizes.at(-1) === 1, `${sizes}`);
      // A higher noise level starts a new trajectory.
      await search.find([{ ...query, sigma: 1.5 }]);
      assert.equal(scans, 2, "searches");
      inner.dispose();
    }),
);

Deno.test("CertifiedSearch finds the same alone and in a batch, in any order", async () => {
  using device = await openDevice("wasm");
  const points = shapes(300);
  const store = await device.store(points);
  const options = { retained: 50, spread: 500 };
  const steps = [2, 1, 0.4].map((sigma) =>
    Array.from({ length: 5 }, (_, sample): SearchQuery => ({
      values: Float32Array.from(
        startNoise(1, sample, 1, points.dimension),
        (e, c) => points.data[sample * points.dimension + c] / 127.5 - 1 + sigma * e,
      ),
      sigma,
      sample,
      most: 1e-3,
    }))
  );
  const whole = new CertifiedSearch(store, options), parts = new CertifiedSearch(store, options);
  for (const queries of steps) {
    const together = await whole.find(queries);
    for (const i of [3, 0, 4, 1, 2]) {
      const [alone] = await parts.find([queries[i]]);
      assert.deepEqual(alone?.rows, together[i]?.rows);
      assert.equal(alone?.discarded, together[i]?.discarded);
    }
  }
  store.dispose();
});

Deno.test("CertifiedSearch gives up where all items are needed, hears a signal, refuses nonsense", async () => {
  using device = await openDevice("wasm");
  const set = new Dataset({
    data: Float32Array.from(startNoise(1, 0, 500, 4)),
    shape: [4],
    name: "noise",
  });
  const store = await device.store(set);
  const search = new CertifiedSearch(store, { retained: 20, spread: 4 });
  const query = { values: new Float32Array(4), sigma: 0.5, sample: 0, most: 1e-3 };
  assert.deepEqual(await search.find([query]), [undefined]);
  const signal = AbortSignal.abort(new DOMException("stop", "AbortError"));
  await assert.rejects(search.find([query], { signal }), { name: "AbortError" });
  assert.throws(() => new CertifiedSearch(store, { retained: 0 }), RangeError);
  store.dispose();
});

function methods(store: DataStore): DataStore {
  return {
    count: store.count,
    dimension: store.dimension,
    posterior: (...args) => store.posterior(...args),
    nearest: (...args) => store.nearest(...args),
    posteriorOn: (...args) => store.posteriorOn(...args),
    distancesTo: (...args) => store.distancesTo(...args),
    dispose: () => store.dispose(),
  };
}
