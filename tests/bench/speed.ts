/**
 * Our kernels beside numpy, torch, faiss and composed tfjs, in one run on one machine.
 *
 *   deno task bench:rivals [--tables posterior,topk,webgpu] [--rivals ours,numpy,…] [--rounds 3] [--repeat 5]
 *
 * Needs Debian's python3-numpy, libopenblas0-pthread, python3-torch and python3-faiss. Every
 * competitor is a process of its own, with the data in memory in the form it wants them
 * (bytes for us, float32 for the others), and uses all cores while the others are idle. They take
 * turns: each does every job once per round, after calls that do not count; the table shows the median of the rounds.
 */
import { loadDataset, startNoise } from "@closedform/diffusion";
import { fromFileUrl, join } from "@std/path";
import { parseArgs } from "node:util";
import { Competitor, medianOf } from "./_jobs.ts";
import type { Answer, Job } from "./_jobs.ts";

const { values: options } = parseArgs({
  options: {
    tables: { type: "string", default: "posterior,topk,webgpu" },
    rivals: { type: "string" },
    batches: { type: "string", default: "1,16,64" },
    rounds: { type: "string", default: "3" },
    repeat: { type: "string", default: "5" },
  },
});

interface Table {
  readonly title: string;
  readonly job: Job["job"];
  /** Ours first. */
  readonly rivals: readonly string[];
  /** Takes only the first rows of each set. */
  readonly limit?: number;
}

const TABLES: Readonly<Record<string, Table>> = {
  posterior: {
    title: "posterior mean",
    job: "posterior",
    rivals: ["ours-wasm", "numpy", "torch", "tfjs-wasm"],
  },
  topk: {
    title: "exact top-100",
    job: "topk",
    rivals: ["ours-wasm", "numpy", "torch", "faiss"],
  },
  webgpu: {
    title: "posterior mean on WebGPU, of the first 5,000 rows",
    job: "posterior",
    rivals: ["ours-webgpu", "tfjs-webgpu"],
    limit: 5000,
  },
};

const here = (name: string) => fromFileUrl(new URL(name, import.meta.url));
const DATA = here("../../../shared/data");
const SETS = [`mnist:${join(DATA, "mnist")}`, `cifar10:${join(DATA, "cifar-10-batches-bin")}`];

function start(rival: string): Competitor {
  const [name, backend] = rival.split("-");
  const deno = (script: string) =>
    new Competitor(Deno.execPath(), ["run", "-A", "--no-check", here(script), backend]);
  if (name === "ours") return deno("ours.ts");
  if (name === "tfjs") return deno("composed.ts");
  return new Competitor("/usr/bin/python3", [here("rivals.py")]);
}

/** Whether two results mean the same: at least 90 of 100 neighbours, or numbers within 0.01. */
function agree(job: Job["job"], a: number[], b: number[]): boolean {
  if (job === "topk") return a.filter((i) => b.includes(i)).length >= 90;
  return a.every((v, i) => Math.abs(v - b[i]) < 0.01);
}

/** Each rival's answers to a job, one per round. */
async function compete(
  competitors: ReadonlyMap<string, Competitor>,
  job: Omit<Job, "rival">,
): Promise<(Answer | undefined)[][]> {
  const answers = [...competitors].map((): (Answer | undefined)[] => []);
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [i, [rival, competitor]] of [...competitors].entries()) {
      // Spinning threads of the one before must have gone to sleep.
      await new Promise((resolve) => setTimeout(resolve, 300));
      answers[i].push(await competitor.ask({ ...job, rival }));
    }
  }
  return answers;
}

function row(
  { job }: Table,
  lead: string,
  answers: readonly (readonly (Answer | undefined)[])[],
): string {
  const [ours] = answers[0];
  const times = answers.map((rounds) => medianOf(rounds.map((a) => a?.ms ?? NaN)));
  const cells = answers.map(([first], i) =>
    first
      ? `${times[i].toFixed(times[i] < 20 ? 1 : 0)}${
        agree(job, ours!.first, first.first) ? "" : " (differs)"
      }`
      : "failed"
  );
  const ratios = times.slice(1).map((ms) => `${(ms / times[0]).toFixed(2)}x`);
  const fastest = Math.min(...times.slice(1).filter((ms) => ms > 0));
  return `| ${lead} | ${cells.join(" | ")} | ${ratios.join(" / ")} | ${
    (fastest / times[0]).toFixed(2)
  }x |`;
}

async function print(table: Table, folder: string): Promise<void> {
  const rivals = table.rivals.filter((rival, i) =>
    i === 0 || (options.rivals ?? rival).split(",").includes(rival)
  );
  console.log(`\n${table.title}, milliseconds\n`);
  console.log(
    `| data | sigma | batch | ${rivals.join(" | ")} | ours against each | against the fastest |`,
  );
  console.log(`|---|---|---|${rivals.map(() => "---|").join("")}---|---|`);
  const peaks = rivals.map(() => 0);
  for (const spec of SETS) {
    const set = await loadDataset(spec, { limit: table.limit });
    const { count, dimension } = set;
    const data = join(folder, `${count}x${dimension}.bytes`);
    await Deno.writeFile(data, set.data as Uint8Array);
    const competitors = new Map(rivals.map((rival) => [rival, start(rival)]));
    for (const sigma of [60, 0.5]) {
      for (const batch of options.batches.split(",").map(Number)) {
        const queries = join(folder, "queries.f32");
        const noise = startNoise(1, 0, batch, dimension);
        // Noisy copies of rows from all over the set, as a denoiser is asked for.
        const values = Float32Array.from(noise, (e, i) => {
          const row = Math.floor(i / dimension) * 7919 % count;
          return set.data[row * dimension + i % dimension] / 127.5 - 1 + sigma * e;
        });
        await Deno.writeFile(queries, new Uint8Array(values.buffer));
        const answers = await compete(competitors, {
          ...{ job: table.job, data, queries, count, dimension, batch, sigma },
          ...{ k: 100, repeat: Number(options.repeat) },
        });
        const lead = `${count.toLocaleString("en")} x ${
          dimension.toLocaleString("en")
        } | ${sigma} | ${batch}`;
        console.log(row(table, lead, answers));
        answers.flat().forEach((a, i) => {
          const at = Math.floor(i / Number(options.rounds));
          peaks[at] = Math.max(peaks[at], a?.peak ?? 0);
        });
      }
    }
    for (const competitor of competitors.values()) await competitor[Symbol.asyncDispose]();
  }
  const memory = rivals.map((rival, i) => `${rival} ${(peaks[i] / 1e6).toFixed(0)}`);
  console.log(`\npeak memory of the process, MB: ${memory.join(", ")}`);
}

const folder = await Deno.makeTempDir();
try {
  for (const name of options.tables.split(",")) await print(TABLES[name], folder);
} finally {
  await Deno.remove(folder, { recursive: true });
}
