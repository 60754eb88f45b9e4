/**
 * Compiles `posterior.as` to the two modules in `modules.ts`: one with relaxed
 * SIMD (fused multiply-add), one without, for engines that lack it.
 *
 * Run by `deno task wasm`; a test compiles again and compares.
 *
 * @module
 */
import asc from "assemblyscript/asc";

const SOURCE = new URL("./posterior.as", import.meta.url);
const TARGET = new URL("./modules.ts", import.meta.url);

/** The text of `modules.ts`, compiled from `posterior.as`. */
export async function buildModules(): Promise<string> {
  const relaxed = (await compile(true)).toBase64();
  const strict = (await compile(false)).toBase64();
  return `// Compiled from posterior.as by \`deno task wasm\`. Do not edit.

/** The kernel with relaxed SIMD, base64. */
export const RELAXED: string =
  "${relaxed}";

/** The kernel without relaxed SIMD, base64. */
export const STRICT: string =
  "${strict}";
`;
}

async function compile(relaxed: boolean): Promise<Uint8Array> {
  const source = await Deno.readTextFile(SOURCE);
  let module: Uint8Array | undefined;
  const { error, stderr } = await asc.main([
    "posterior.ts",
    "--outFile=posterior.wasm",
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
    readFile: (name: string) => name === "posterior.ts" ? source : null,
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (contents instanceof Uint8Array) module = contents;
    },
    listFiles: () => [],
  });
  if (error || !module) {
    throw new SyntaxError(`Cannot compile posterior.as: ${stderr.toString()}`);
  }
  return module;
}

if (import.meta.main) await Deno.writeTextFile(TARGET, await buildModules());
