/** Processes that are killed without warning, at moments drawn at random. */
import type { RandomStream } from "@closedform/diffusion";
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** When a process is killed: so many milliseconds after it started, or after it began to write. */
export interface Moment {
  readonly from: "start" | "writing";
  readonly after: number;
}

/** A process that writes files. */
export interface Writer {
  /** Starts it. */
  start(): Deno.ChildProcess;
  /** Whether it is about to write or has written something that is not finished. */
  writing(): boolean;
  /** Fails unless each file that is there is whole. */
  check(): Promise<void>;
}

/** What became of the processes. */
export interface KillCounts {
  /** How many were started; some end before their moment comes. */
  readonly started: number;
  /** Killed before their end. */
  readonly killed: number;
  /** Of these, killed while a file was half-written. */
  readonly inWriting: number;
}

/** Runs a program with all permissions, in a process of its own. */
export function startProgram(program: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The full path, as a URL, of a source file. */
export function sourceUrl(path: string): string {
  return new URL(`../../${path}`, import.meta.url).href;
}

/**
 * Starts a process again and again, each over what the last one left, until `times` were killed: a third of the times at any
 * moment of `duration` milliseconds, else within `burst` milliseconds of its beginning to write.
 */
export async function killAtRandom(
  writer: Writer,
  times: number,
  { duration, burst, random }: { duration: number; burst: number; random: RandomStream },
): Promise<KillCounts> {
  const counts = { started: 0, killed: 0, inWriting: 0 };
  while (counts.killed < times) {
    assert.ok(counts.started < 10 * times, "ends before it can be killed");
    const moment: Moment = counts.started % 3 === 0
      ? { from: "start", after: duration * random.uniform() }
      : { from: "writing", after: burst * random.uniform() };
    const killed = await killOnce(writer, moment);
    counts.started++;
    if (killed) counts.killed++;
    if (killed && writer.writing()) counts.inWriting++;
    await writer.check();
  }
  return counts;
}

/** Whether the process was killed before its end. */
async function killOnce(writer: Writer, { from, after }: Moment): Promise<boolean> {
  const child = writer.start();
  let ended = false;
  const output = child.output().finally(() => ended = true);
  if (from === "writing") {
    while (!ended && !writer.writing()) await pause(0);
  }
  await Promise.race([pause(after), output]);
  if (!ended) kill(child);
  const { code, signal, stderr } = await output;
  // Whatever was not killed must have ended well, over the remains of those that were.
  if (signal !== "SIGKILL") assert.equal(code, 0, new TextDecoder().decode(stderr));
  return signal === "SIGKILL";
}

/** Kills a process, which may have ended since it was last looked at: how it ended, its status tells. */
function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Runs a process to its end and returns how many milliseconds that took. */
export async function timeOf(start: () => Deno.ChildProcess): Promise<number> {
  const begin = performance.now();
  const { code, stderr } = await start().output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return performance.now() - begin;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
