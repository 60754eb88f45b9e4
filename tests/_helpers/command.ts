/** The command line, run as a user runs it. */
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** What a run of the command line gave. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const CONFIG = join(ROOT, "deno.json");

/** The flags that a task of `deno.json` gives Deno, and its program. */
export function taskOf(name: string): { flags: readonly string[]; program: string } {
  const { tasks } = JSON.parse(Deno.readTextFileSync(CONFIG));
  const words: string[] = tasks[name].command.split(" ");
  return { flags: words.slice(2, -1), program: words[words.length - 1] };
}

/** Starts the command of a task, with no permissions but the task's, in the root of the project or another folder. */
export function startTask(
  name: string,
  args: readonly string[],
  { folder = ROOT, env = {} }: { folder?: string; env?: Record<string, string> } = {},
): Deno.ChildProcess {
  const { flags, program } = taskOf(name);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, "--config", CONFIG, join(ROOT, program), ...args],
    cwd: folder,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Starts `deno task sample`'s command, in the root of the project or another folder, with variables of its own. */
export function startSample(
  args: readonly string[],
  folder: string = ROOT,
  env: Record<string, string> = {},
): Deno.ChildProcess {
  return startTask("sample", args, { folder, env });
}

/** Runs `deno task sample`'s command to its end. */
export async function runSample(...args: string[]): Promise<CommandResult> {
  const { code, stdout, stderr } = await startSample(args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
