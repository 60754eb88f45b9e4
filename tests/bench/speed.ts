/**
 * Our kernels beside numpy, torch, faiss and composed tfjs, in one run on one machine.
 *
 *   deno task bench:rivals [--jobs posterior,topk] [--rivals ours-wasm,numpy,…] [--repeat 5]
 *
 * Needs Debian's python3-numpy, libopenblas0-pthread, python3-torch and python3-faiss. Every
 * competitor is a process of its own, with the data in memory in the form it wants them
 * (bytes for us, float32 for the others), and uses all cores while the others are idle.
 */
import { loadDataset, startNoise } from "@closedform/diffusion";
import { fromFileUrl, join } from "@std/path";
import { parseArgs } from "node:util";
import { Competitor } from "./_jobs.ts";
import type { Answer, Job } from "./_jobs.ts";

const { values: options } = parseArgs({
  options: {
    jobs: { type: "string", default: "posterior,topk" },
    rivals: { type: "string", default: "ours-wasm,numpy,torch,faiss,tfjs-wasm" },
    batches: { type: "string", default: "1,16,64" },
    repeat: { type: "string", default: "5" },
  },
});

const here = (name: string) => fromFileUrl(new URL(name, import.meta.url));
const DATA = here("../../../shared/data");
const SETS = [
  ["60,000 x 784", `mnist:${join(DATA, "mnist")}`],
  ["50,000 x 3,072", `cifar10:${join(DATA, "cifar-10-batches-bin")}`],
] as const;

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

const rivals = options.rivals.split(",");
const folder = await Deno.makeTempDir();
try {
  for (const job of options.jobs.split(",") as Job["job"][]) {
    console.log(
      `\n${
        job === "topk" ? "exact top-100" : "posterior mean"
      }, milliseconds (median of ${options.repeat})\n`,
    );
    console.log(
      `| data | sigma | batch | ${rivals.join(" | ")} | ours against the fastest other |`,
    );
    console.log(`|---|---|---|${rivals.map(() => "---|").join("")}---|`);
    const peaks = new Map<string, number[]>();
    for (const [name, spec] of SETS) {
      const set = await loadDataset(spec);
      const { count, dimension } = set;
      const data = join(folder, `${count}x${dimension}.bytes`);
      await Deno.writeFile(data, set.data as Uint8Array);
      const competitors = new Map(rivals.map((rival) => [rival, start(rival)]));
      for (const sigma of [60, 0.5]) {
        for (const batch of options.batches.split(",").map(Number)) {
          const queries = join(folder, "queries.f32");
          const noise = startNoise(1, 0, batch, dimension);
          const clean = (i: number) => set.data[i * 31 % set.data.length] / 127.5 - 1;
          await Deno.writeFile(
            queries,
            new Uint8Array(Float32Array.from(noise, (e, i) => clean(i) + sigma * e).buffer),
          );
          const answers: (Answer | undefined)[] = [];
          for (const rival of rivals) {
            const able = (job === "topk") !== rival.startsWith("tfjs") || job === "posterior";
            const does = rival === "faiss" ? job === "topk" : able;
            // Spinning threads of the one before must have gone to sleep.
            await new Promise((resolve) => setTimeout(resolve, 300));
            answers.push(
              does
                ? await competitors.get(rival)!.ask({
                  ...{ rival, job, data, queries, count, dimension, batch, sigma },
                  ...{ k: 100, repeat: Number(options.repeat) },
                })
                : undefined,
            );
          }
          const [ours, ...others] = answers;
          const cells = answers.map((a) =>
            a
              ? `${a.ms.toFixed(a.ms < 20 ? 1 : 0)}${
                agree(job, ours!.first, a.first) ? "" : " (differs)"
              }`
              : ""
          );
          const fastest = Math.min(...others.flatMap((a) => a ? [a.ms] : []));
          console.log(
            `| ${name} | ${sigma} | ${batch} | ${cells.join(" | ")} | ${
              (fastest / ours!.ms).toFixed(2)
            }x |`,
          );
          answers.forEach((a, i) => {
            if (a) peaks.set(rivals[i], [...(peaks.get(rivals[i]) ?? []), a.peak]);
          });
        }
      }
      for (const competitor of competitors.values()) await competitor[Symbol.asyncDispose]();
    }
    console.log(
      "\npeak memory of the process, MB: " +
        [...peaks].map(([rival, list]) => `${rival} ${(Math.max(...list) / 1e6).toFixed(0)}`).join(
          ", ",
        ),
    );
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
