/**
 * Compiles every kernel `NAME.as` of this folder to `modules/NAME.ts`, which holds two modules: one
 * with relaxed SIMD (fused multiply-add), one without, for engines that lack it.
 *
 * Run by `deno task wasm`; a test compiles again and compares.
 *
 * Why AssemblyScript: it needs no more than Deno, and it is not slower than C. The core of `posterior.as`, the
 * integer products, written in C with the same intrinsics and the same structure and compiled by clang 19 `-O3` for
 * wasm32 (`-msimd128`), takes 1.06 times as long for 4 queries in cache (34.0 against 36.2 billion multiply-adds per
 * second on one 2.6 GHz core) and 1.01 to 1.08 times for 1 query out of memory; clang 14, 1.06 to 1.15 times. Plain C left to
 * clang's vectoriser takes 2.5 to 6 times as long. Interleaved minima of 15 calls, the same sums bit for bit.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import asc from "assemblyscript/asc";
import { temporaryName } from "../../base/_temporary_file.ts";

const FOLDER = new URL("./", import.meta.url);

/** The names of the kernels. */
export function kernelNames(): string[] {
  return [...Deno.readDirSync(FOLDER)].flatMap(({ name }) =>
    name.endsWith(".as") ? [name.slice(0, -".as".length)] : []
  ).sort();
}

/** Where the modules of a kernel are kept. */
export function moduleFile(name: string): URL {
  return new URL(`./modules/${name}.ts`, FOLDER);
}

/** The text of `modules/NAME.ts`, compiled from `NAME.as`. */
export async function buildModules(name: string): Promise<string> {
  const relaxed = (await compile(name, true)).toBase64();
  const strict = (await compile(name, false)).toBase64();
  return `// Compiled from ${name}.as by \`deno task wasm\`. Do not edit.

/** The kernel with relaxed SIMD, base64. */
export const RELAXED: string =
  "${relaxed}";

/** The kernel without relaxed SIMD, base64. */
export const STRICT: string =
  "${strict}";
`;
}

async function compile(kernel: string, relaxed: boolean): Promise<Uint8Array> {
  const source = await Deno.readTextFile(new URL(`./${kernel}.as`, FOLDER));
  let module: Uint8Array | undefined;
  const { error, stderr } = await asc.main([
    "kernel.ts",
    "--outFile=kernel.wasm",
    "--optimizeLevel=3",
    "--noAssert",
    "--runtime=stub",
    "--importMemory",
    "--sharedMemory",
    "--initialMemory=1",
    "--maximumMemory=65536",
    "--enable=simd",
    "--enable=threads",
    ...(relaxed ? ["--enable=relaxed-simd"] : []),
  ], {
    readFile: (name: string) => name === "kernel.ts" ? source : null,
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (contents instanceof Uint8Array) module = contents;
    },
    listFiles: () => [],
  });
  if (error || !module) {
    throw new SyntaxError(`Cannot compile ${kernel}.as: ${stderr.toString()}`);
  }
  return module;
}

if (import.meta.main) {
  // Names on the command line choose some; else all are compiled.
  for (const name of Deno.args.length ? Deno.args : kernelNames()) {
    const file = fromFileUrl(moduleFile(name)), temporary = temporaryName(file);
    // A process that starts meanwhile finds the old module or the new one, never a part.
    await Deno.writeTextFile(temporary, await buildModules(name));
    await Deno.rename(temporary, file);
  }
}
