/** Processes killed at random moments; `deno task bench:faults` kills a hundred of each. */
import { RandomStream } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { withFolder } from "../_helpers/files.ts";
import { killAtRandom } from "../_helpers/killing.ts";
import { imageCache, samplingRun, spectrumCache } from "./_writers.ts";
import type { TimedWriter } from "./_writers.ts";

const WRITERS: [string, (folder: string) => Promise<TimedWriter>, number][] = [
  ["sample", samplingRun, 12],
  ["readImages()", imageCache, 6],
  ["dataSpectrum()", spectrumCache, 6],
];

for (const [name, make, times] of WRITERS) {
  Deno.test(`${name} killed at ${times} random moments leaves no half-written file`, () =>
    withFolder(async (folder) => {
      const writer = await make(folder);
      const random = new RandomStream({ seed: 1, purpose: "theory" });
      const { killed, inWriting } = await killAtRandom(writer, times, { ...writer, random });
      // The moments that count are those in which something lay half-written.
      assert.ok(killed > times / 4 && inWriting > 0, `${killed} killed, ${inWriting} in writing`);
      await writer.finish();
    }));
}
