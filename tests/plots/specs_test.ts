import {
  chartSvg,
  cloudSpec,
  fieldSpec,
  heatmapSpec,
  lineSpec,
  panelsSpec,
  posteriorSpec,
  scatterSpec,
} from "@closedform/diffusion";
import type { ChartSpec } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { assertSnapshot } from "../_helpers/snapshot.ts";

const specs: Record<string, ChartSpec> = {
  line: lineSpec([
    { label: "effective sample size", x: [80, 1, 0.002], y: [100, 12, 1] },
    { label: "limit", x: [80, 0.002], y: [100, 100], dashed: true },
  ], {
    title: "How many data points count",
    xTitle: "noise level σ",
    yTitle: "points",
    xLog: true,
    yLog: true,
    xReversed: true,
  }),
  line_plain: lineSpec([{ label: "a", x: [0, 1], y: [1 / 3, -1] }]),
  scatter: scatterSpec([
    { label: "data", points: Float32Array.of(0, 0, 1, 0.5) },
    {
      label: "samples",
      points: [0.5, 0.25, 0.125, 0],
      weights: [1, 3],
      size: 60,
    },
  ], { title: "Points", width: 300, height: 200 }),
  field: fieldSpec([0, 0, 1, 0, 0, 1], [1, 1, 0, 0, -3, 0], {
    title: "A field",
    longest: 0.5,
    points: [0.5, 0.5],
  }),
  heatmap: heatmapSpec([5, 15, 50], [0, 15], [0.4, 0.3, 0.2, 1 / 3, 0.1, 0], {
    title: "Error of D",
    xTitle: "nearest items K",
    yTitle: "random items L",
    valueTitle: "error",
  }),
  posterior: posteriorSpec([0, 0, 1, 0], [
    {
      sigma: 20,
      query: [30, 3],
      denoised: [0.5, 0],
      weights: [0.4, 0.6],
      note: "1.9 of 2 points",
    },
    { sigma: 0.1, query: [0.1, 0], denoised: [0, 0], weights: [1, 1e-19] },
  ]),
  cloud: cloudSpec([
    { label: "data", points: [1, 1, 1, 0, 0, 0], size: 40 },
    { label: "samples", points: [0.5, 0, 1] },
  ], { title: "A cloud", azimuth: 0, elevation: 0, domain: [[-1, 2], [-1, 2]] }),
  panels: panelsSpec([
    scatterSpec([{ label: "data", points: [0, 0] }, { label: "samples", points: [1, 1] }]),
    scatterSpec([{ label: "data", points: [0, 1] }, { label: "samples", points: [1, 0] }]),
    lineSpec([{ label: "a", x: [0, 1], y: [0, 1] }], { title: "A line" }),
  ], { title: "Panels", columns: 2 }),
};

for (const [name, spec] of Object.entries(specs)) {
  Deno.test(`${name} chart is the one that was looked at`, () => {
    assertSnapshot(spec, new URL(`./snapshots/${name}.json`, import.meta.url));
  });

  Deno.test(`${name} chart draws without a screen and without complaint`, async () => {
    const warnings: unknown[][] = [];
    const { warn } = console;
    console.warn = (...words) => warnings.push(words);
    try {
      const svg = await chartSvg(spec);
      assert.match(svg, /^<svg[^>]* width="\d+/);
      assert.ok(svg.endsWith("</svg>"));
      assert.ok(!/NaN|undefined/.test(svg));
    } finally {
      console.warn = warn;
    }
    assert.deepEqual(warnings, []);
  });
}

Deno.test("chartSvg keeps small numbers on axes and rounds places", async () => {
  const svg = await chartSvg(
    lineSpec([{ label: "a", x: [0.001, 1], y: [1, 2] }], { xLog: true }),
  );
  assert.match(svg, />0\.001</);
  assert.doesNotMatch(svg, / (?:d|transform)="[^"]*\d\.\d{3}/);
});

Deno.test("posteriorSpec draws a query that is far away at the edge, in its direction", () => {
  // The domain of the two data points is 1.1 wide around (0.5, 0); 0.96 of half of it is 0.528.
  const [panel] = specs.posterior.concat as unknown as {
    layer: { data: { values: { x: number; y: number }[] } }[];
  }[];
  const [query] = panel.layer[2].data.values;
  assert.ok(Math.abs(query.x - (0.5 + 0.528)) < 1e-4, `${query.x}`);
  assert.ok(Math.abs(query.y - 0.528 * 3 / 29.5) < 1e-4, `${query.y}`);
});

Deno.test("cloudSpec draws the nearest points last, largest and darkest", () => {
  // Seen from the front, z is nearness.
  const points = [0, 0, 4, 1, 0, -4, 2, 0, 0];
  const [layer] = cloudSpec([{ label: "a", points }], { azimuth: 0, elevation: 0 })
    .layer as unknown as { data: { values: { x: number; w: number }[] } }[];
  assert.deepEqual(layer.data.values.map(({ x, w }) => [x, w]), [[1, 0], [2, 0.5], [0, 1]]);
});

Deno.test("panelsSpec shares a legend only where it is told to", async () => {
  const charts = [1, 2].map((n) =>
    scatterSpec([{ label: "data", points: [n, n] }, { label: "samples", points: [0, n] }])
  );
  const legends = async (oneLegend: boolean) =>
    (await chartSvg(panelsSpec(charts, { oneLegend }))).split(">samples<").length - 1;
  assert.deepEqual([await legends(false), await legends(true)], [2, 1]);
});

Deno.test("charts refuse what they cannot draw", async () => {
  const a = { label: "a", x: [0, 1], y: [1, 2] };
  assert.throws(() => lineSpec([]), TypeError);
  assert.throws(() => lineSpec([{ ...a, y: [1] }]), TypeError);
  assert.throws(() => lineSpec([{ ...a, x: [], y: [] }]), TypeError);
  assert.throws(() => lineSpec([{ ...a, y: [1, NaN] }]), RangeError);
  assert.throws(() => lineSpec([a], { xLog: true }), {
    name: "RangeError",
    message: /the line a: a value is 0, wanted finite numbers > 0/,
  });
  const b = { label: "b", points: [0, 1] };
  assert.throws(() => scatterSpec([]), TypeError);
  assert.throws(() => scatterSpec([{ ...b, points: [1] }]), TypeError);
  assert.throws(() => scatterSpec([{ ...b, weights: [1, 2] }]), TypeError);
  assert.throws(() => scatterSpec([{ ...b, weights: [-1] }]), RangeError);
  assert.throws(() => scatterSpec([{ ...b, weights: [0] }]), RangeError);
  assert.throws(() => scatterSpec([{ ...b, points: [0, NaN] }]), RangeError);
  assert.throws(() => posteriorSpec([0, 1], []), TypeError);
  assert.throws(() => cloudSpec([]), TypeError);
  assert.throws(() => cloudSpec([{ label: "a", points: [] }]), TypeError);
  assert.throws(() => cloudSpec([{ label: "a", points: [1, 2] }]), TypeError);
  assert.throws(() => cloudSpec([{ label: "a", points: [1, 2, NaN] }]), RangeError);
  assert.throws(() => cloudSpec([{ label: "a", points: [1, 2, 3] }], { azimuth: NaN }), RangeError);
  assert.throws(() => panelsSpec([]), TypeError);
  assert.throws(() => panelsSpec([lineSpec([a])], { columns: 0.5 }), RangeError);
  await assert.rejects(
    chartSvg({ $schema: lineSpec([a]).$schema, mark: "no such mark" }),
    TypeError,
  );
});
