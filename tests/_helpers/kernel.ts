/** The real Deno kernel, driven as Jupyter drives it. */
import { fromFileUrl, join } from "@std/path";

const DRIVER = fromFileUrl(new URL("drive_kernel.py", import.meta.url));
const NOTEBOOKS = fromFileUrl(new URL("../../notebooks", import.meta.url));

/** A cell, and what it has to print for Stop to be pressed. */
export interface KernelCell {
  readonly code: string;
  readonly stop?: string;
}

/** What became of a cell: `ok`, `error`, `dead` if the kernel ended, `silent` if it did not answer. */
export interface KernelResult {
  readonly status: "ok" | "error" | "dead" | "silent";
  readonly text: string;
  readonly error: string;
  /** What it showed, by MIME type. */
  readonly shown: readonly Readonly<Record<string, unknown>>[];
}

/** The first Python that can drive a kernel; without one, its tests are ignored unless `REQUIRE_JUPYTER` is set. */
export async function pythonOfJupyter(): Promise<string | undefined> {
  // Debian's packages are those of its own Python, which need not be the first.
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      const args = ["-c", "import jupyter_client"];
      const { success } = await new Deno.Command(python, { args, stderr: "null" }).output();
      if (success) return python;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  if (Deno.env.get("REQUIRE_JUPYTER")) {
    throw new TypeError("the tests require jupyter-client, found no Python that has it");
  }
}

/** Runs cells in a new kernel, installed as `deno task kernel` does, but in a folder of its own. */
export async function runCells(
  python: string,
  cells: readonly KernelCell[],
): Promise<KernelResult[]> {
  const home = await Deno.makeTempDir();
  try {
    const { denoDir } = JSON.parse(await output(Deno.execPath(), ["info", "--json"], {}));
    const share = join(home, "share");
    await output(Deno.execPath(), ["jupyter", "--install", "--force"], {
      HOME: home,
      XDG_DATA_HOME: share,
      DENO_DIR: denoDir,
    });
    const text = await output(
      python,
      [DRIVER, NOTEBOOKS],
      { JUPYTER_PATH: join(share, "jupyter"), NO_COLOR: "1" },
      JSON.stringify(cells),
    );
    return JSON.parse(text);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

async function output(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  input = "",
): Promise<string> {
  const child = new Deno.Command(command, {
    args: [...args],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const [text, problem] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new TypeError(`Cannot run ${command} ${args.join(" ")}: ${problem}`);
  return text;
}
