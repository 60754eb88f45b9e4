/** Processes killed at random moments, and run again over what is left; `deno task bench:faults` kills a hundred of each. */
import { RandomStream } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { countOf, tell } from "../_helpers/fault_table.ts";
import { withFolder } from "../_helpers/files.ts";
import { killAtRandom } from "../_helpers/killing.ts";
import { imageCache, samplingRun, spectrumCache } from "./_writers.ts";
import type { TimedWriter } from "./_writers.ts";

const WRITERS: [string, (folder: string) => Promise<TimedWriter>, number][] = [
  ["sample", samplingRun, 10],
  ["readImages()", imageCache, 5],
  ["dataSpectrum()", spectrumCache, 5],
];

for (const [name, make, usual] of WRITERS) {
  const times = countOf("FAULT_MOMENTS", usual);
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
      // Any file that is not whole is an error above.
      tell({
        fault: `SIGKILL at random moments of ${name}`,
        tried: killed,
        survived: killed,
        seen: {},
        remark: `${inWriting} while a file was half-written`,
      });
    }));
}
