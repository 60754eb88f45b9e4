/** The three things that write files: a sampling run, and the caches of decoded images and of spectra. */
import { encodePng, RandomStream } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { startSample } from "../_helpers/command.ts";
import { sourceUrl, startProgram } from "../_helpers/killing.ts";
import type { Writer } from "../_helpers/killing.ts";

/** A writer, and how long one of its runs takes when nothing disturbs it, in milliseconds. */
export interface TimedWriter extends Writer {
  readonly duration: number;
  /** Milliseconds from the first byte to the last one, with some to spare. */
  readonly burst: number;
  /** Runs it once more to its end: what is there then must be what an undisturbed run leaves. */
  finish(): Promise<void>;
}

const FILES = ["samples.png", "samples.npy", "trajectory.png"];
const STEPS = 4;

/** `deno task sample` into one folder, with two seeds in turn. */
export async function samplingRun(folder: string): Promise<TimedWriter> {
  const out = join(folder, "out");
  const args = (seed: number, to: string) => [
    ...[
      "--limit",
      "60",
      "--count",
      "36",
      "--steps",
      `${STEPS}`,
      "--device",
      "wasm",
      "--trajectory",
    ],
    ...["--quiet", "--seed", `${seed}`, "--out", to],
  ];
  const expected: Uint8Array[][] = [];
  let duration = 0;
  for (const seed of [0, 1]) {
    const begin = performance.now();
    const to = join(folder, `whole-${seed}`);
    const { code, stderr } = await startSample(args(seed, to)).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    duration = performance.now() - begin;
    expected.push(await Promise.all(FILES.map((name) => Deno.readFile(join(to, name)))));
  }
  let seed = 0, before: readonly string[] = [];
  const check = async () => {
    for (const [k, name] of FILES.entries()) {
      const found = await readIfThere(join(out, name));
      const whole = expected.some((files) => found === undefined || equal(found, files[k]));
      assert.ok(whole, `${name} of ${found?.length} bytes is of neither run`);
    }
    const text = await readIfThere(join(out, "run.json"));
    if (!text) return;
    const { options: { seed }, steps } = JSON.parse(new TextDecoder().decode(text));
    assert.ok([0, 1].includes(seed) && steps.length === STEPS);
    // Under a record, all files are of its run.
    for (const [k, name] of FILES.entries()) {
      assert.ok(equal(await Deno.readFile(join(out, name)), expected[seed][k]), name);
    }
  };
  return {
    duration,
    burst: 150,
    start() {
      before = namesIn(out);
      return startSample(args(seed++ % 2, out));
    },
    writing: () =>
      namesIn(out).some((name) => /^[st].*\.part$/.test(name) && !before.includes(name)),
    check,
    async finish() {
      const { code, stderr } = await startSample(args(0, out)).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      for (const [k, name] of FILES.entries()) {
        assert.ok(equal(await Deno.readFile(join(out, name)), expected[0][k]), name);
      }
      const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
      assert.equal(record.options.seed, 0);
    },
  };
}

/** `readImages()` of a folder, which keeps what it decoded. */
export async function imageCache(folder: string): Promise<TimedWriter> {
  const side = 700;
  for (let i = 0; i < 8; i++) {
    const random = new RandomStream({ seed: i, purpose: "theory" });
    const data = new Uint8Array(4 * side * side).map((_, at) => at % 4 === 3 ? 255 : at >> 9);
    data.set(Uint8Array.from({ length: 3 }, () => random.below(256)));
    const png = await encodePng({ width: side, height: side, data });
    await Deno.writeFile(join(folder, `${i}.png`), png);
  }
  return await cacheWriter(
    folder,
    `import { readImages } from "${sourceUrl("src/datasets/images.ts")}";
     await readImages(${JSON.stringify(folder)}, { cache: ${JSON.stringify(folder)} });`,
    (name) => name.endsWith(".images"),
    10,
  );
}

/** `dataSpectrum()`, which keeps the decomposition. */
export async function spectrumCache(folder: string): Promise<TimedWriter> {
  return await cacheWriter(
    folder,
    `import { Dataset } from "${sourceUrl("src/datasets/dataset.ts")}";
     import { dataSpectrum } from "${sourceUrl("src/denoisers/gaussian/spectrum.ts")}";
     import { startNoise } from "${sourceUrl("src/base/random.ts")}";
     const data = Float32Array.from(startNoise(1, 0, 200, 3072));
     const set = new Dataset({ data, shape: [3072], name: "noise" });
     await dataSpectrum(set, { cache: ${JSON.stringify(folder)} });`,
    (name) => name.endsWith(".spectrum"),
    4,
  );
}

/** A program whose result is one file of the folder, always of the same bytes. */
async function cacheWriter(
  folder: string,
  program: string,
  isResult: (name: string) => boolean,
  burst: number,
): Promise<TimedWriter> {
  const result = () => namesIn(folder).filter(isResult).map((name) => join(folder, name));
  const start = () => startProgram(program);
  const begin = performance.now();
  const { code, stderr } = await start().output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const duration = performance.now() - begin;
  const [file] = result();
  const whole = await Deno.readFile(file);
  await Deno.remove(file);
  let before: readonly string[] = [];
  const check = async () => {
    const found = await readIfThere(file);
    assert.ok(
      !found || equal(found, whole),
      `a cache of ${found?.length} bytes, not ${whole.length}`,
    );
    // Begin anew, so that there is something to write; what the killed one left stays.
    if (found) await Deno.remove(file);
  };
  return {
    duration,
    burst,
    start() {
      before = namesIn(folder);
      return start();
    },
    writing: () => namesIn(folder).some((name) => !before.includes(name) && !isResult(name)),
    check,
    async finish() {
      const { code, stderr } = await start().output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert.ok(equal(await Deno.readFile(file), whole));
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), ({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
