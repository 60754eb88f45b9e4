import { karrasGrid } from "@closedform/diffusion";
import { main } from "@closedform/diffusion/cli";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions } from "../../src/cli/options.ts";
import { runSample } from "../_helpers/command.ts";

const RUN = "--data moons:300 --count 4 --grid karras --steps 18 --device reference".split(" ");

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
