/**
 * Reads files one after the other in a process of its own, and prints a line of JSON about each: seconds, megabytes at
 * most beyond those before, the longest time without a turn for timers, and the error or what was read.
 *
 * `hostile_reader.ts READER PATH ...`
 */
import {
  loadAutoencoder,
  openRows,
  readCifar10,
  readCsv,
  readGaussianLaw,
  readIdx,
  readImages,
  readMesh,
  readNpy,
  readNpz,
} from "@closedform/diffusion";
import { decodeSafetensors, readNetwork } from "@closedform/diffusion/training";
import { readCacheFile } from "../../src/base/_cache_file.ts";

/** What is told of a file. */
export interface Reading {
  readonly path: string;
  readonly seconds: number;
  readonly megabytes: number;
  readonly deaf: number;
  /** The name of the error; empty if the file was read. */
  readonly error: string;
  readonly message: string;
}

/** The readers, by name. */
export const READERS: Readonly<Record<string, (path: string) => unknown>> = {
  csv: (path) => readCsv(path),
  mesh: (path) => readMesh(path),
  npy: (path) => readNpy(path),
  npz: (path) => readNpz(path),
  rows: (path) => openRows(path),
  idx: (path) => readIdx(path),
  cifar: (path) => readCifar10(path, { split: "test", imagesPerFile: 1 }),
  images: (path) => readImages(path, { cache: false }),
  law: (path) => readGaussianLaw(path),
  safetensors: async (path) => decodeSafetensors(await Deno.readFile(path), path),
  network: (path) => readNetwork(path),
  autoencoder: (path) => loadAutoencoder(path),
  cache: (path) => readCacheFile(path, "MAGIC___", new Uint8Array(32)),
};

/** The value of a line of the process's status in megabytes; NaN where there is none. */
function status(name: string): number {
  if (Deno.build.os !== "linux") return NaN;
  const text = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)![1]) / 1024;
}

async function measure(read: (path: string) => unknown, path: string): Promise<Reading> {
  // The peak from now on.
  if (Deno.build.os === "linux") Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  const before = status("VmRSS"), begin = performance.now();
  let last = begin, deaf = 0, error = "", message = "";
  const turn = () => {
    deaf = Math.max(deaf, performance.now() - last);
    last = performance.now();
  };
  const timer = setInterval(turn, 20);
  try {
    const what = await read(path);
    message = (what as { summary?(): string } | undefined)?.summary?.() ?? String(what);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.constructor.name : String(thrown);
    message = thrown instanceof Error ? thrown.message : "";
  }
  turn();
  clearInterval(timer);
  const seconds = (performance.now() - begin) / 1000;
  const megabytes = status("VmHWM") - before;
  return { path, seconds, megabytes, deaf: deaf / 1000, error, message };
}

if (import.meta.main) {
  // What is loaded once is not counted.
  const [name, warm, ...paths] = Deno.args;
  await measure(READERS[name], warm);
  for (const path of paths) console.log(JSON.stringify(await measure(READERS[name], path)));
  Deno.exit(0);
}
