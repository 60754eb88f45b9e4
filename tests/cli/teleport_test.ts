import { dataSpectrum, karrasGrid, tinyShapes } from "@closedform/diffusion";
import { cumulantNorms, skipEstimate } from "@closedform/diffusion/theory";
import { main } from "@closedform/diffusion/cli";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions } from "../../src/cli/options.ts";
import { runSample } from "../_helpers/command.ts";

const RUN = "--data moons:300 --count 4 --grid karras --steps 18 --device float64".split(" ");

/** The record of a quiet run. */
async function recordOf(...args: string[]): Promise<Record<string, unknown>> {
  const out = await Deno.makeTempDir();
  try {
    assert.equal(await main([...RUN, ...args, "--quiet", "--out", out]), 0);
    return JSON.parse(await Deno.readTextFile(join(out, "run.json")));
  } finally {
    await Deno.remove(out, { recursive: true });
  }
}

Deno.test("sample --teleport auto says where it lands, what it costs and what it saves", async () => {
  const { evaluations, teleport, sigmas, sampler } = await recordOf("--teleport", "auto") as {
    evaluations: number;
    teleport: Record<string, number>;
    sigmas: number[];
    sampler: { name: string };
  };
  const { sigmaSkip, displacementPerNumber, evaluationsSaved, tolerancePerNumber } = teleport;
  assert.equal(evaluations + evaluationsSaved, 18);
  assert.equal(sigmaSkip, sigmas[evaluationsSaved]);
  assert.ok(displacementPerNumber > 0 && displacementPerNumber <= tolerancePerNumber);
  assert.equal(sampler.name, "ddim+teleport");
  // At the level below, the term of the fourth cumulants, which rules here, is beyond the tolerance.
  const below = displacementPerNumber * (sigmaSkip / sigmas[evaluationsSaved + 1]) ** 3;
  assert.ok(below > tolerancePerNumber, `${below}`);
});

Deno.test("sample --teleport SIGMA lands there, and --respace keeps the number of evaluations", async () => {
  const fewer = await recordOf("--teleport", "5");
  const { sigmas } = karrasGrid(18);
  assert.equal((fewer.teleport as Record<string, number>).sigmaSkip, sigmas[7]);
  assert.equal(fewer.evaluations, 11);
  const same = await recordOf("--teleport", "5", "--respace");
  const { sigmaSkip, evaluationsSaved, respaced } = same.teleport as Record<string, unknown>;
  assert.deepEqual([same.evaluations, sigmaSkip, evaluationsSaved, respaced], [18, 5, 0, true]);
  const none = await recordOf("--teleport", "none");
  assert.deepEqual([none.evaluations, none.teleport], [18, undefined]);
});

Deno.test("sample --teleport above the grid has nothing to leave out", async () => {
  const { evaluations, teleport } = await recordOf("--teleport", "500") as {
    evaluations: number;
    teleport: Record<string, number>;
  };
  assert.deepEqual([evaluations, teleport.evaluationsSaved, teleport.displacement], [18, 0, 0]);
});

Deno.test("sample refuses a teleport that is predicted to miss, and says what would be right", async () => {
  const { code, stderr } = await runSample(...RUN, "--teleport", "0.2");
  assert.equal(code, 2);
  const [, least] = /a level of at least ([\d.]+)/.exec(stderr) ?? [];
  const { teleport } = await recordOf("--teleport", String(Number(least) * 1.01)) as {
    teleport: Record<string, number>;
  };
  assert.ok(teleport.displacementPerNumber <= 0.02);
  await recordOf("--teleport", "0.2", "--teleport-tolerance", "10");
});

Deno.test("sample names what is wrong with the options of a teleport", () => {
  for (const text of ["", "x", "0", "-1", "Infinity"]) {
    assert.throws(() => parseOptions(["--teleport", text]), /--teleport/);
    assert.throws(() => parseOptions(["--teleport-tolerance", text]), /--teleport-tolerance/);
  }
  const { teleport, teleportTolerance, respace } = parseOptions([]);
  assert.deepEqual([teleport, teleportTolerance, respace], [undefined, 0.02, false]);
});

Deno.test("sample --teleport-law mixture goes farther than a Gaussian at the same tolerance", async () => {
  type Record = { teleport: { [name: string]: number } & { law: string }; evaluations: number };
  const gaussian = await recordOf("--teleport", "auto") as Record;
  const args = "--teleport auto --teleport-law mixture --components 12".split(" ");
  const mixture = await recordOf(...args) as Record;
  assert.match(mixture.teleport.law, /mixture of 12 on moons/);
  assert.ok(mixture.teleport.sigmaSkip < gaussian.teleport.sigmaSkip);
  assert.ok(mixture.evaluations < gaussian.evaluations);
  for (const { displacementPerNumber, tolerancePerNumber } of [mixture.teleport]) {
    assert.ok(displacementPerNumber > 0 && displacementPerNumber <= tolerancePerNumber);
  }
  const { integrationError, displacement } = mixture.teleport;
  assert.ok(integrationError > 0 && integrationError < 0.1 * displacement);
  assert.equal(gaussian.teleport.integrationError, 0);
  const respaced = await recordOf(...args, "--respace") as Record;
  assert.deepEqual([respaced.evaluations, respaced.teleport.stepsSaved], [18, 0]);
  const above = await recordOf("--teleport", "500", "--teleport-law", "mixture") as Record;
  assert.deepEqual([above.evaluations, above.teleport.displacement], [18, 0]);
});

Deno.test("sample refuses a mixture's teleport that is predicted to miss, and says what would be right", async () => {
  const law = "--teleport-law mixture --components 3 --teleport-tolerance 0.002".split(" ");
  const { code, stderr } = await runSample(...RUN, ...law, "--teleport", "0.2");
  assert.equal(code, 2);
  const [, least] = /a level of at least ([\d.]+)/.exec(stderr) ?? [];
  assert.ok(Number(least) > 0.2, stderr);
  const { teleport } = await recordOf(...law, "--teleport", String(Number(least) * 1.02)) as {
    teleport: Record<string, number>;
  };
  assert.ok(teleport.displacementPerNumber <= 0.002);
});

Deno.test("sample --teleport crossing lands where the law begins to be worse than the denoiser", async () => {
  const args = "--denoiser mixture --components 2 --teleport crossing --teleport-tolerance 1";
  const { teleport, evaluations } = await recordOf(...args.split(" ")) as {
    teleport: Record<string, number>;
    evaluations: number;
  };
  // Two clusters are nearer to the moons than one Gaussian, everywhere: there is nothing to leave out.
  assert.deepEqual([evaluations, teleport.stepsSaved], [18, 0]);
  const one = "--denoiser wiener --teleport crossing --teleport-tolerance 9";
  const saved = await recordOf(...one.split(" ")) as { teleport: Record<string, number> };
  // The denoiser is the law itself: no worse at any level.
  assert.ok(saved.teleport.sigmaSkip < 1, `${saved.teleport.sigmaSkip}`);
  const { code, stderr } = await runSample(...RUN, "--teleport", "crossing");
  assert.equal(code, 2);
  assert.match(stderr, /--teleport crossing with --denoiser optimal.*wanted auto/);
});

Deno.test("sample --class --teleport goes by the law of the class", async () => {
  const data = "--data tiny-shapes:600 --count 2 --grid karras --steps 18 --device wasm";
  const of = async (...args: string[]) => {
    const out = await Deno.makeTempDir();
    try {
      assert.equal(await main([...data.split(" "), ...args, "--quiet", "--out", out]), 0);
      return JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    } finally {
      await Deno.remove(out, { recursive: true });
    }
  };
  const set = tinyShapes(600).classSubset("bar");
  const norms = await cumulantNorms(set, await dataSpectrum(set));
  const { teleport } = await of("--class", "bar", "--teleport", "10");
  const { sigmas } = karrasGrid(18);
  const law = skipEstimate(norms, sigmas[5], 80).displacement;
  assert.ok(Math.abs(teleport.displacement / law - 1) < 1e-9);
  const mixed = await of("--class", "bar", "--teleport", "auto", "--teleport-law", "mixture");
  assert.match(mixed.teleport.law, /mixture of 10 on tiny shapes/);
  const byClass = "--teleport auto --teleport-law mixture --components classes";
  assert.match((await of(...byClass.split(" "))).teleport.law, /mixture of 4 on tiny shapes/);
});

Deno.test("sample names what is wrong with the law of a teleport", () => {
  assert.throws(() => parseOptions(["--teleport-law", "mixture"]), /--teleport-law without/);
  const of = (...args: string[]) => () => parseOptions(["--teleport", "5", ...args]);
  assert.throws(of("--teleport-law", "delta"), /wanted one of gaussian, mixture/);
  assert.throws(of("--components", "3"), /--components.*--teleport-law mixture/);
  const { mixture, teleportLaw } = of("--teleport-law", "mixture", "--rank", "4")();
  assert.deepEqual([mixture, teleportLaw], [{ rank: 4 }, "mixture"]);
});
