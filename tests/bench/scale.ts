/**
 * Cost and error of a step as the data grow: full scan, published golden subset, certified golden subset.
 *
 *   deno task bench:scale [--least 1000] [--most 1000000] [--dimensions 768,3072] [--count 4] [--device wasm] [--out out]
 *
 * Generated images of bytes, smooth with some noise. Per size and method: mean seconds of a denoiser call for all
 * samples over ten DDIM steps, over those at noise levels of at most 1, and the worst error of a step to the full scan,
 * root mean square per number; also drawn, as `scale-cost.svg` and `scale-error.svg`. A size that needs more memory
 * than there is, is left out, and said so.
 */
import { parseArgs } from "node:util";
import { join } from "@std/path";
import {
  chartSvg,
  Dataset,
  ddpmGrid,
  goldenSubset,
  lineSpec,
  openDevice,
  optimal,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { AnyTensor, DeviceKind, GoldenSubset, OptimalDenoiser } from "@closedform/diffusion";

const { values: options } = parseArgs({
  options: {
    least: { type: "string", default: "1000" },
    most: { type: "string", default: "1000000" },
    dimensions: { type: "string", default: "768,3072" },
    count: { type: "string", default: "4" },
    device: { type: "string", default: "wasm" },
    out: { type: "string", default: "out" },
  },
});
const count = Number(options.count);
const grid = ddpmGrid(10);

/** Random words by Marsaglia's xorshift of 32 bits. */
class Words {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  next(): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return this.#state = s;
  }
  /** About N(0, 1): the sum of three uniform numbers. */
  normal(): number {
    return (this.next() + this.next() + this.next()) / 2 ** 31;
  }
}

/** Images made of blobs of two sizes, of random contrast, with noise of a few grey values. */
function images(n: number, dimension: number): Dataset {
  const side = Math.sqrt(dimension / 3), words = new Words(7);
  const data = new Uint8Array(n * dimension);
  const octaves = [4, 8].map((cells) => ({ cells, grid: new Float32Array((cells + 1) ** 2 * 3) }));
  const places = octaves.map(({ cells }) =>
    Array.from({ length: side }, (_, p) => {
      const at = p * cells / side;
      return { cell: Math.floor(at), share: at % 1 };
    })
  );
  for (let i = 0, at = 0; i < n; i++) {
    const contrast = 45 * Math.exp(0.4 * words.normal());
    octaves.forEach(({ grid, cells }) => {
      for (let k = 0; k < grid.length; k++) grid[k] = contrast * 4 / cells * words.normal();
    });
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        let [r, g, b] = [128, 128, 128];
        for (let o = 0; o < 2; o++) {
          const { cells, grid } = octaves[o], v = places[o][y], u = places[o][x];
          const from = (v.cell * (cells + 1) + u.cell) * 3, below = from + (cells + 1) * 3;
          const [w0, w1] = [(1 - v.share) * (1 - u.share), (1 - v.share) * u.share];
          const [w2, w3] = [v.share * (1 - u.share), v.share * u.share];
          r += w0 * grid[from] + w1 * grid[from + 3] + w2 * grid[below] + w3 * grid[below + 3];
          g += w0 * grid[from + 1] + w1 * grid[from + 4] + w2 * grid[below + 1] +
            w3 * grid[below + 4];
          b += w0 * grid[from + 2] + w1 * grid[from + 5] + w2 * grid[below + 2] +
            w3 * grid[below + 5];
        }
        const noise = words.next();
        data[at++] = clamp(r + (noise & 15) - 7.5);
        data[at++] = clamp(g + (noise >> 8 & 15) - 7.5);
        data[at++] = clamp(b + (noise >> 16 & 15) - 7.5);
      }
    }
  }
  return new Dataset({ data, shape: [side, side, 3], name: `${n} generated images` });
}

function clamp(v: number): number {
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

async function values(mean: AnyTensor): Promise<Float32Array> {
  const numbers = Float32Array.from(await mean.data<"float32">());
  mean.dispose();
  return numbers;
}

/** The largest root mean square difference of a row. */
function worst(a: Float32Array, b: Float32Array): number {
  const d = a.length / count;
  let most = 0;
  for (let q = 0; q < count; q++) {
    let square = 0;
    for (let c = q * d; c < (q + 1) * d; c++) square += (a[c] - b[c]) ** 2;
    most = Math.max(most, Math.sqrt(square / d));
  }
  return most;
}

/** What was measured of one size and method. */
interface Row {
  readonly n: number;
  readonly label: string;
  readonly seconds: number;
  readonly error: number;
}

const rows: Row[] = [];

async function measure(n: number, dimension: number): Promise<void> {
  // The data, a copy of them on the device, a quarter of them as a proxy, and lists of distances.
  const needed = 2.4 * n * dimension + 200 * n * count;
  const { available } = Deno.systemMemoryInfo();
  if (needed > 0.8 * available) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    console.log(
      `${n} x ${dimension}: left out, needs ${gigabytes(needed)} of memory, ${
        gigabytes(available)
      } are free`,
    );
    return;
  }
  const set = images(n, dimension);
  using device = await openDevice(options.device as DeviceKind);
  using exact = await optimal(set, { device });
  using published = await goldenSubset(exact, { tail: false });
  using certified = await goldenSubset(exact, { tolerance: 1e-3 });
  const methods: [string, OptimalDenoiser | GoldenSubset][] = [
    ["full scan", exact],
    ["published", published],
    ["certified", certified],
  ];
  const found = methods.map(() => ({ seconds: [] as number[], low: [] as number[], error: 0 }));
  let state = Float32Array.from(startNoise(1, 0, count, dimension), (e) => grid.startScale * e);
  // The first call of each warms up.
  for (let at = -1; at < grid.sigmas.length - 1; at++) {
    const sigma = grid.sigmas[Math.max(0, at)];
    const x = tensorSpace.from(state, [count, ...set.shape]);
    let whole: Float32Array | undefined;
    for (const [i, [, method]] of methods.entries()) {
      const before = performance.now();
      const mean = await values((await method.denoise(x, sigma)).mean);
      const seconds = (performance.now() - before) / 1000;
      whole ??= mean;
      if (at < 0) continue;
      found[i].seconds.push(seconds);
      if (sigma <= 1) found[i].low.push(seconds);
      found[i].error = Math.max(found[i].error, worst(mean, whole));
    }
    x.dispose();
    if (at < 0) continue;
    const rho = grid.sigmas[at + 1] / sigma;
    state = state.map((v, i) => rho * v + (1 - rho) * whole![i]);
  }
  const mean = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
  methods.forEach(([name], i) => {
    const { seconds, low, error } = found[i];
    rows.push({ n, label: `${name}, d = ${dimension}`, seconds: mean(seconds), error });
    console.log(
      `${String(n).padStart(8)} x ${dimension}  ${name.padEnd(9)}  ${
        mean(seconds).toFixed(4)
      } s/step  ` +
        `${mean(low).toFixed(4)} at sigma <= 1  worst error ${error.toExponential(1)}`,
    );
  });
}

for (const dimension of options.dimensions.split(",").map(Number)) {
  for (let n = Number(options.least); n <= Number(options.most); n *= 10) {
    await measure(n, dimension);
  }
}

/** One line per method and dimension, over the number of items. */
function lines(of: (row: Row) => number) {
  return [...new Set(rows.map(({ label }) => label))].map((label) => {
    // A logarithmic axis has no 0, which is the error of the full scan.
    const own = rows.filter((row) => row.label === label && of(row) > 0);
    return { label, x: own.map(({ n }) => n), y: own.map(of) };
  }).filter(({ x }) => x.length > 0);
}

const axes = { xTitle: "number of items", xLog: true, yLog: true };
const charts = {
  "scale-cost.svg": lineSpec(lines(({ seconds }) => seconds), {
    ...axes,
    yTitle: "seconds per step",
  }),
  "scale-error.svg": lineSpec(lines(({ error }) => error), {
    ...axes,
    yTitle: "worst error of a step",
  }),
};
await Deno.mkdir(options.out, { recursive: true });
for (const [name, spec] of Object.entries(charts)) {
  await Deno.writeTextFile(join(options.out, name), await chartSvg(spec));
  console.log(join(options.out, name));
}
