/** Jobs that a process of its own answers, one JSON line each: ours, and those of `rivals.py`. */
import { TextLineStream } from "./_lines.ts";

/** One job. */
export interface Job {
  /** Who does it. */
  readonly rival: string;
  /** What is to be computed. */
  readonly job: "posterior" | "topk";
  /** A file of `count` × `dimension` bytes. */
  readonly data: string;
  /** A file of `batch` × `dimension` float32. */
  readonly queries: string;
  readonly count: number;
  readonly dimension: number;
  readonly batch: number;
  readonly sigma: number;
  readonly k: number;
  readonly repeat: number;
}

/** Its answer. */
export interface Answer {
  /** Median of the repetitions. */
  readonly ms: number;
  /** The beginning of the first result, to compare. */
  readonly first: number[];
  /** Peak memory of the process so far, bytes. */
  readonly peak: number;
}

/** Answers jobs from standard input until it ends. */
export async function answerJobs(answer: (job: Job) => Promise<Omit<Answer, "peak">>) {
  for await (
    const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    )
  ) {
    const result = await answer(JSON.parse(line));
    console.log(JSON.stringify({ ...result, peak: peakMemory() }));
  }
}

/** Peak resident memory of this process, bytes. */
function peakMemory(): number {
  const [, kilobytes] = Deno.readTextFileSync("/proc/self/status").match(/VmHWM:\s+(\d+) kB/)!;
  return Number(kilobytes) * 1024;
}

/** The middle one of some numbers. */
export function medianOf(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

// As in rivals.py: calls that do not count take so long at least, those that count so long at most, in milliseconds.
const WARM = 300, LONGEST = 10_000;

/** Median time of a function, in milliseconds, after calls that do not count. */
export async function median(repeat: number, run: () => Promise<void>): Promise<number> {
  const time = async () => {
    const before = performance.now();
    await run();
    return performance.now() - before;
  };
  for (let spent = 0; spent < WARM;) spent += await time();
  const times: number[] = [];
  for (let spent = 0; times.length < repeat && spent < LONGEST; spent += times.at(-1)!) {
    times.push(await time());
  }
  return medianOf(times);
}

/** A process that answers jobs. */
export class Competitor implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;

  constructor(command: string, args: readonly string[]) {
    this.#process = new Deno.Command(command, {
      args: [...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#output = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
  }

  /** Sends a job and waits for its answer; undefined if the process died. */
  async ask(job: Job): Promise<Answer | undefined> {
    await this.#input.write(new TextEncoder().encode(JSON.stringify(job) + "\n"));
    const { value } = await this.#output.read();
    return value === undefined ? undefined : JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#process.status;
  }
}
