import { Dataset, dataSpectrum, localityMask, startNoise } from "@closedform/diffusion";
import type { MaskRule } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { MaskCache } from "../../../src/denoisers/local/_mask_cache.ts";
import { withFolder } from "../../_helpers/files.ts";

// As many coordinates as it takes to be kept on disk, with spreads that differ and neighbours that vary together.
const DIMENSION = 256;
const noise = startNoise(11, 0, 60, DIMENSION);
const set = new Dataset({
  data: Float32Array.from(
    noise,
    (e, at) => (e + 0.8 * noise[Math.max(0, at - 1)]) * (0.2 + at % DIMENSION / DIMENSION),
  ),
  shape: [DIMENSION],
  name: "numbers",
});

Deno.test("MaskCache keeps masks of every rule, level and spectrum apart, and gives them back from disk", () =>
  withFolder(async (folder) => {
    const spectrum = await dataSpectrum(set, { cache: false });
    const first = { spectrum, rule: { theta: 0.1 } as MaskRule, sigma: 0.3 };
    const cases = [
      first,
      { ...first, sigma: 0.6 },
      { ...first, spectrum: await dataSpectrum(set, { cache: false, rank: 20 }) },
      { ...first, rule: { theta: 0.2 } },
      { ...first, rule: { theta: 0.1, orientation: "output" } as const },
      { ...first, rule: { theta: 0.1, normalisation: "row" } as const },
      { ...first, rule: { theta: 0.1, normalisation: "symmetric" } as const },
    ];
    const masks: Uint32Array[] = [];
    for (const { spectrum, rule, sigma } of cases) {
      masks.push((await localityMask(spectrum, sigma, rule)).bits);
    }
    assert.equal(new Set(masks.map((bits) => bits.join())).size, cases.length, "they all differ");
    // The second time they come from disk, and no file is added.
    for (let round = 0; round < 2; round++) {
      for (const [i, { spectrum, rule, sigma }] of cases.entries()) {
        const { bits } = await new MaskCache(spectrum, rule, folder).of(sigma);
        assert.deepEqual(bits, masks[i]);
      }
      assert.equal([...Deno.readDirSync(folder)].length, cases.length);
    }
  }));
