/**
 * Sampling from data larger than memory, as a user does it: writes a file of random bytes, runs the
 * command line over it, and says how much memory that took, how long a step lasts, and how fast
 * the file went by beside a plain read of it. Fails if the process took 1.5 GB or more.
 *
 *   deno task bench:streaming [--rows 1000000] [--count 4] [--steps 5] [--device auto]
 *
 * The plain read, first and last, and the steps all find the file in the page cache if it fits there.
 */
import { join } from "@std/path";
import { statfs } from "node:fs/promises";
import { parseArgs } from "node:util";
import { startSample } from "../_helpers/command.ts";
import { npyHeader } from "../_helpers/encode.ts";

const DIMENSION = 3072;
const MOST_MEMORY = 1.5e9;
const PIECE = 2 ** 25;

const { values: options } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    count: { type: "string", default: "4" },
    steps: { type: "string", default: "5" },
    device: { type: "string", default: "auto" },
  },
});
const rows = Number(options.rows);
const size = rows * DIMENSION;

/** Random bytes by Marsaglia's xorshift of 32 bits, the same each time. */
function fillRandom(words: Uint32Array, state: number): number {
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return state;
}

async function writeRandom(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  };
  await write(npyHeader([rows, 32, 32, 3]));
  const words = new Uint32Array(PIECE / 4);
  let state = 1;
  for (let at = 0; at < size; at += PIECE) {
    state = fillRandom(words, state);
    await write(new Uint8Array(words.buffer, 0, Math.min(PIECE, size - at)));
  }
}

/** Seconds that reading the file and doing nothing with it takes. */
async function plainRead(path: string): Promise<number> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(PIECE);
  const before = performance.now();
  while (await file.read(buffer) !== null);
  return (performance.now() - before) / 1000;
}

/** Peak resident memory of a process, bytes; 0 once it is gone. */
async function peakOf(pid: number): Promise<number> {
  try {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

interface Step {
  readonly sigma: number;
  readonly seconds: number;
}

async function draw(path: string, out: string): Promise<{ peak: number; steps: Step[] }> {
  const child = startSample([
    ...["--data", `npy:${path}`, "--count", options.count, "--steps", options.steps],
    ...["--device", options.device, "--out", out, "--stream", "--quiet"],
  ]);
  let peak = 0, running = true;
  const done = child.output().finally(() => running = false);
  while (running) {
    // The kernel keeps the maximum, so looking now and then misses next to nothing.
    peak = Math.max(peak, await peakOf(child.pid));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { code, stderr } = await done;
  if (code !== 0) throw new TypeError(`the sampler failed: ${new TextDecoder().decode(stderr)}`);
  const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
  console.log(`${record.device.kind}: ${record.device.description}`);
  return { peak, steps: record.steps };
}

const folder = await Deno.makeTempDir();
try {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < 1.2 * size) {
    throw new RangeError(
      `Cannot run this: ${(bavail * bsize / 1e9).toFixed(1)} GB of disk are free, wanted ${
        (1.2 * size / 1e9).toFixed(1)
      }`,
    );
  }
  const path = join(folder, "data.npy");
  await writeRandom(path);
  console.log(`${rows.toLocaleString("en")} x ${DIMENSION} bytes, ${options.count} samples`);
  const before = await plainRead(path);
  const { peak, steps } = await draw(path, join(folder, "out"));
  const plain = Math.min(before, await plainRead(path));
  for (const { sigma, seconds } of steps) {
    console.log(
      `sigma ${sigma.toPrecision(3)}: ${seconds.toFixed(2)} s, ${
        (size / seconds / 1e9).toFixed(2)
      } GB/s`,
    );
  }
  const median = steps.map(({ seconds }) => seconds).sort((a, b) => a - b)[steps.length >> 1];
  console.log(
    `step ${median.toFixed(2)} s in the median: ${(size / median / 1e9).toFixed(2)} GB/s, ${
      (100 * plain / median).toFixed(0)
    } % of a plain read at ${(size / plain / 1e9).toFixed(2)} GB/s`,
  );
  console.log(
    `peak memory ${(peak / 1e6).toFixed(0)} MB, wanted less than ${MOST_MEMORY / 1e6}`,
  );
  if (!(peak > 0 && peak < MOST_MEMORY)) Deno.exitCode = 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}
