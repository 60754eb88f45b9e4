/** Runs of the command line within the tests' own process. */
import { decodeNpy } from "@closedform/diffusion";
import { main } from "@closedform/diffusion/cli";
import { join } from "@std/path";
import assert from "node:assert/strict";

/** What a run wrote. */
export interface CliRun {
  // deno-lint-ignore no-explicit-any -- tests look at a part each
  readonly record: Record<string, any>;
  readonly samples: Float32Array;
  readonly shape: readonly number[];
  readonly names: readonly string[];
}

/** Runs quietly on the CPU and reads what was written. */
export async function cliRun(out: string, ...args: string[]): Promise<CliRun> {
  assert.equal(await main(["--device", "wasm", "--quiet", "--out", out, ...args]), 0);
  return await readRun(out);
}

/** What a run wrote to a folder. */
export async function readRun(out: string): Promise<CliRun> {
  const file = join(out, "samples.npy");
  const { data, shape } = decodeNpy(await Deno.readFile(file), file);
  return {
    record: JSON.parse(await Deno.readTextFile(join(out, "run.json"))),
    samples: data as Float32Array,
    shape,
    names: [...Deno.readDirSync(out)].map(({ name }) => name).sort(),
  };
}

/** The code and the lines of standard error of a run that is to fail. */
export async function failedRun(
  ...args: string[]
): Promise<{ code: number; lines: readonly string[] }> {
  const error = console.error;
  const lines: string[] = [];
  console.error = (line: string) => void lines.push(line);
  try {
    return { code: await main(["--device", "wasm", "--quiet", ...args]), lines };
  } finally {
    console.error = error;
  }
}
