/** What this machine's cores reach at a plain copy and at plain multiply-adds, from all threads at once. */
import asc from "assemblyscript/asc";
import { Worker } from "node:worker_threads";

const SOURCE = `
export function copy(from: usize, to: usize, bytes: usize): void {
  memory.copy(to, from, bytes);
}
// 10 chains of 4 fused multiply-adds each: more than the latency hides, all in registers.
export function multiplyAdd(rounds: i32, seed: f32): f32 {
  const x = f32x4.splat(seed), y = f32x4.splat(1);
  let a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x;
  for (let r = 0; r < rounds; r++) {
    a = f32x4.relaxed_madd(x, y, a); b = f32x4.relaxed_madd(x, y, b); c = f32x4.relaxed_madd(x, y, c);
    d = f32x4.relaxed_madd(x, y, d); e = f32x4.relaxed_madd(x, y, e); f = f32x4.relaxed_madd(x, y, f);
    g = f32x4.relaxed_madd(x, y, g); h = f32x4.relaxed_madd(x, y, h); i = f32x4.relaxed_madd(x, y, i);
    j = f32x4.relaxed_madd(x, y, j);
  }
  const s = f32x4.add(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), f32x4.add(f32x4.add(e, f), f32x4.add(f32x4.add(g, h), f32x4.add(i, j))));
  return f32x4.extract_lane(s, 0);
}
`;
const COPY = 128 * 2 ** 20, ROUNDS = 20_000_000;

function threadMain(): void {
  // deno-lint-ignore no-explicit-any
  const { parentPort, workerData } = (globalThis as any).process
    .getBuiltinModule("node:worker_threads");
  const memory = new WebAssembly.Memory({ initial: 2 * workerData.copy / 65536 + 1 });
  const { copy, multiplyAdd } = new WebAssembly.Instance(workerData.module, {
    env: { memory, abort: () => {} },
  }).exports as Record<string, (...numbers: number[]) => number>;
  copy(65536, 65536 + workerData.copy, workerData.copy);
  multiplyAdd(1000, 0.5);
  parentPort.on("message", (what: string) => {
    if (what === "copy") {
      for (let k = 0; k < 4; k++) copy(65536, 65536 + workerData.copy, workerData.copy);
    } else multiplyAdd(workerData.rounds, 0.5);
    parentPort.postMessage("done");
  });
  parentPort.postMessage("ready");
}

/** Bytes read plus bytes written per second, and floating-point operations per second. */
export async function cpuCeilings(
  threads: number = navigator.hardwareConcurrency,
): Promise<{ bytesPerSecond: number; flopPerSecond: number }> {
  let bytes: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main(
    ["c.ts", "-o=c.wasm", "-O3", "--runtime=stub", "--importMemory", "--enable=simd,relaxed-simd"],
    {
      readFile: (name: string) => name === "c.ts" ? SOURCE : null,
      writeFile: (_: string, contents: string | Uint8Array) => {
        if (contents instanceof Uint8Array) bytes = Uint8Array.from(contents);
      },
      listFiles: () => [],
    },
  );
  if (error || !bytes) throw new SyntaxError(stderr.toString());
  const module = await WebAssembly.compile(bytes);
  const workers = Array.from({ length: threads }, () =>
    new Worker(`(${threadMain.toString()})()`, {
      eval: true,
      workerData: { module, copy: COPY, rounds: ROUNDS },
    }));
  const answers = () =>
    Promise.all(
      workers.map((w) => new Promise<void>((resolve) => w.once("message", () => resolve()))),
    );
  await answers();
  const time = async (what: string) => {
    const seconds: number[] = [];
    for (let k = 0; k < 5; k++) {
      const done = answers();
      const before = performance.now();
      for (const worker of workers) worker.postMessage(what);
      await done;
      seconds.push((performance.now() - before) / 1000);
    }
    return Math.min(...seconds);
  };
  const copy = await time("copy"), work = await time("multiplyAdd");
  for (const worker of workers) await worker.terminate();
  return {
    bytesPerSecond: threads * 4 * 2 * COPY / copy,
    flopPerSecond: threads * ROUNDS * 10 * 4 * 2 / work,
  };
}
