/** The command line, run as a user runs it. */
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** What a run of the command line gave. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `deno task sample`'s command, in the root of the project or another folder, with variables of its own. */
export function startSample(
  args: readonly string[],
  folder: string = ROOT,
  env: Record<string, string> = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      "--allow-sys",
      "--config",
      join(ROOT, "deno.json"),
      join(ROOT, "src/cli.ts"),
      ...args,
    ],
    cwd: folder,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `deno task sample`'s command to its end. */
export async function runSample(...args: string[]): Promise<CommandResult> {
  const { code, stdout, stderr } = await startSample(args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
