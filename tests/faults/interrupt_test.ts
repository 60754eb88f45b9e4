/** Ctrl-C in every phase that takes long, of every command that listens for it. */
import { encodeNpy } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { startTask } from "../_helpers/command.ts";
import { withFolder, write } from "../_helpers/files.ts";
import { sourceUrl } from "../_helpers/killing.ts";

/** How soon a command is to end after the signal, in milliseconds. */
const SOON = 2000;

/** A command line, and the line of its standard error after which so many milliseconds pass before the signal. */
interface Phase {
  readonly name: string;
  readonly task?: "sample" | "train:codec";
  readonly args: string;
  readonly after?: RegExp;
  readonly wait: number;
}

/** The device is open, and what comes next has begun. */
const OPEN = /^wasm: |^float64: /m;

/**
 * Sizes are such that the phase takes far longer than {@linkcode SOON}, or in one piece would; IMAGES are 12,000 of 28×28
 * bytes, the same in each run, POINTS a table of two million.
 */
const PHASES: readonly Phase[] = [
  { name: "drawing data", args: "--data shapes:400000", wait: 1500 },
  { name: "reading a table", args: "--data POINTS", wait: 700 },
  { name: "steps", args: "--data moons:100000 --count 20000", after: OPEN, wait: 500 },
  {
    name: "many small steps",
    args: "--data moons:20 --count 5 --grid karras --steps 100000",
    after: OPEN,
    wait: 500,
  },
  { name: "a spectrum", args: "--data IMAGES --denoiser wiener", after: OPEN, wait: 300 },
  {
    name: "latents",
    args: "--data IMAGES --codec pca --count 20000",
    after: /^latents: /m,
    wait: 100,
  },
  { name: "clusters", args: "--data IMAGES --denoiser mixture", after: OPEN, wait: 1000 },
  { name: "a proxy", args: "--data IMAGES --denoiser golden --proxy pca", after: OPEN, wait: 1000 },
  {
    name: "a search among many",
    args: "--data moons:100000 --denoiser golden --proxy pca --count 1000",
    after: OPEN,
    wait: 1500,
  },
  {
    name: "nearest items of averages",
    args: "--data IMAGES --denoiser local-average --count 2000",
    after: OPEN,
    wait: 1000,
  },
  {
    name: "weights of averages",
    args: "--data moons:1000000 --denoiser dirichlet",
    after: OPEN,
    wait: 700,
  },
  {
    name: "gumbel draws",
    args: "--data moons:100000 --denoiser smoothed --draw-kind gumbel --bandwidth 0.01 --steps 9",
    after: /^smoothing: /m,
    wait: 500,
  },
  { name: "a bandwidth", args: "--data IMAGES --denoiser smoothed", after: OPEN, wait: 500 },
  { name: "masks", args: "--data IMAGES --denoiser pca", after: OPEN, wait: 1500 },
  { name: "windows", args: "--data IMAGES --denoiser equivariant", after: OPEN, wait: 700 },
  {
    name: "statistics",
    args: "--data IMAGES --sampler dpm-v3",
    after: /^the statistics/m,
    wait: 500,
  },
  {
    name: "float64 steps",
    args: "--data moons:2000000 --device float64 --count 200",
    after: OPEN,
    wait: 1000,
  },
  {
    name: "components of training",
    task: "train:codec",
    args: "--data IMAGES",
    after: /components/,
    wait: 300,
  },
  {
    name: "training",
    task: "train:codec",
    args: "--data IMAGES --steps 100000",
    after: /^step /m,
    wait: 300,
  },
];

/** How long a program that listens takes to end after the signal, here and now. */
async function allowance(): Promise<number> {
  const code = `Deno.addSignalListener("SIGINT", () => Deno.exit(130)); console.error("here"); ` +
    "setInterval(() => {}, 10)";
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  return (await interrupted(child, /here/, 100)).milliseconds;
}

/** Sends the signal to a process once it wrote a line and some time has passed; how long it took to end, and how. */
async function interrupted(child: Deno.ChildProcess, after: RegExp | undefined, wait: number) {
  let text = "",
    sent: number | undefined,
    ended = false,
    end: ReturnType<typeof setTimeout> | undefined;
  const send = () =>
    setTimeout(() => {
      if (ended) return;
      sent = performance.now();
      child.kill("SIGINT");
      // Whoever does not hear at all is not waited for.
      end = setTimeout(() => ended || child.kill("SIGKILL"), 10 * SOON);
    }, wait);
  let timer = after ? undefined : send();
  for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (after?.test(text)) timer ??= send();
  }
  const { code } = await child.status;
  ended = true;
  clearTimeout(timer);
  clearTimeout(end);
  const milliseconds = performance.now() - (sent ?? NaN);
  return { code, milliseconds, text };
}

/** What the names in the table stand for: images that are no copies of each other, and a long table. */
async function makeData(folder: string): Promise<Record<string, string>> {
  const count = 12000, side = 28;
  const bytes = new Uint8Array(count * side * side);
  let state = 1;
  for (let at = 0; at < bytes.length; at++) {
    state = Math.imul(state, 1664525) + 1013904223 | 0;
    bytes[at] = state >>> 24;
  }
  const file = join(folder, "images.npy");
  await Deno.writeFile(file, encodeNpy(bytes, [count, side, side, 1]));
  const points = await write(folder, "points.csv", "x,y\n" + "0.25,0.5\n0.125,1.5\n".repeat(1e6));
  return { IMAGES: `npy:${file}`, POINTS: `csv:${points}` };
}

Deno.test("Ctrl-C ends every command in every phase within 2 s, in one line, and leaves no file", () =>
  withFolder(async (folder) => {
    const data = await makeData(folder);
    const faults: string[] = [];
    for (const { name, task = "sample", args, after, wait } of PHASES) {
      const out = join(folder, `out of ${name}`);
      const words = args.split(" ").map((word) => data[word] ?? word);
      const device = task === "sample" && !args.includes("--device") ? ["--device", "wasm"] : [];
      const child = startTask(task, [...words, ...device, "--out", out], {
        // Nothing that an earlier run kept makes a phase short.
        env: { CLOSEDFORM_CACHE: "none" },
      });
      void child.stdout.cancel();
      const { code, milliseconds, text } = await interrupted(child, after, wait);
      const last = text.trim().split("\n").at(-1)!.split("\r").at(-1);
      if (code !== 130 || last !== "Interrupted: nothing was written") {
        faults.push(`${name}: exit code ${code}, ${last}`);
        continue;
      }
      await assert.rejects(Deno.stat(out), Deno.errors.NotFound, name);
      // What the machine takes by itself at this moment: others may be at work on it.
      const most = SOON + await allowance();
      if (milliseconds > most) faults.push(`${name}: ${milliseconds} ms, wanted ${most}`);
    }
    assert.deepEqual(faults, []);
  }));

Deno.test("a second Ctrl-C ends a command that does not listen to the first", async () => {
  const program = `
    import { runCommand } from ${JSON.stringify(sourceUrl("src/cli/interrupt.ts"))};
    console.error("here");
    await runCommand(() => new Promise((resolve) => setTimeout(() => resolve(0), 60_000)));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const first = setTimeout(() => child.kill("SIGINT"), 1000);
  const { code } = await interrupted(child, /here/, 1500);
  clearTimeout(first);
  assert.equal(code, 130);
});
