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
      // The moments that count are those in which something lay half-written: a busy machine may miss them all.
      let killed = 0, inWriting = 0;
      for (let round = 0; round < 10 && inWriting === 0; round++) {
        const counts = await killAtRandom(writer, times, { ...writer, random });
        killed += counts.killed;
        inWriting += counts.inWriting;
      }
      assert.ok(inWriting > 0, `${killed} killed, none in writing`);
      await writer.finish();
    }));
}
