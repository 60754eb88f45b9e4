/** The faults of tests/faults at full counts, as a table: tried, survived, errors. `deno task bench:faults` */
import { moons, openDevice, optimal, RandomStream, tinyShapes } from "@closedform/diffusion";
import { imageCache, samplingRun, spectrumCache } from "../faults/_writers.ts";
import type { TimedWriter } from "../faults/_writers.ts";
import { withFolder } from "../_helpers/files.ts";
import { killAtRandom } from "../_helpers/killing.ts";
import { soak } from "../_helpers/soak.ts";

const MOMENTS = Number(Deno.args[0] ?? 100), STEPS = Number(Deno.args[1] ?? 100_000);

function tell(fault: string, tried: number, survived: number, remarks: string): void {
  console.log(
    `${fault.padEnd(48)} ${tried.toLocaleString("en").padStart(8)} ${
      survived.toLocaleString("en").padStart(9)
    }  ${remarks}`,
  );
}

console.log(`${"fault".padEnd(48)} ${"tried".padStart(8)} ${"survived".padStart(9)}`);
const writers: [string, (folder: string) => Promise<TimedWriter>][] = [
  ["SIGKILL in a sampling run", samplingRun],
  ["SIGKILL in building a cache of images", imageCache],
  ["SIGKILL in building a cache of a spectrum", spectrumCache],
];
for (const [fault, make] of writers) {
  await withFolder(async (folder) => {
    const writer = await make(folder);
    const random = new RandomStream({ seed: 2, purpose: "theory" });
    // Throws at the first file that is not whole.
    const counts = await killAtRandom(writer, MOMENTS, { ...writer, random });
    await writer.finish();
    const remarks =
      `${counts.killed} killed before their end, ${counts.inWriting} in the middle of a file`;
    tell(fault, counts.tried, counts.tried, remarks);
  });
}
for (const [name, set] of [["points", moons(300)], ["images", tinyShapes(100)]] as const) {
  using device = await openDevice("wasm");
  using denoiser = await optimal(set, device);
  const { steps, tensors, megabytes } = await soak(denoiser, STEPS / 2);
  tell(
    `steps of samples of ${name}`,
    steps,
    tensors === 0 ? steps : 0,
    `${tensors} more tensors, ${megabytes.toFixed(1)} MB more`,
  );
}
