/** Answers jobs with operations of tfjs: `deno run -A composed.ts wasm|webgpu`. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-webgpu";
import { answerJobs, median } from "./_jobs.ts";

await tf.setBackend(Deno.args[0]);
await tf.ready();

let loaded: { file: string; x: tf.Tensor2D; norms: tf.Tensor2D }[] = [];

/** Rows in pieces that fit a binding of 128 MiB, transposed as the wasm backend likes them best. */
async function rowsOf(file: string, count: number, dimension: number) {
  if (loaded[0]?.file === file) return loaded;
  for (const { x, norms } of loaded) tf.dispose([x, norms]);
  loaded = [];
  const bytes = await Deno.readFile(file);
  const rows = Math.min(count, Math.floor(2 ** 27 / 4 / dimension));
  for (let at = 0; at < count; at += rows) {
    const part = bytes.subarray(at * dimension, (at + rows) * dimension);
    const x = tf.tensor2d(Float32Array.from(part, (v) => v / 127.5 - 1), [
      part.length / dimension,
      dimension,
    ]);
    loaded.push({
      file,
      x,
      norms: tf.tidy(() => tf.reshape(tf.sum(tf.square(x), 1), [1, -1])),
    });
  }
  return loaded;
}

await answerJobs(async ({ job, data, queries, count, dimension, batch, sigma, repeat }) => {
  if (job === "topk") throw new TypeError("tfjs composes no exact top-k over pieces");
  const pieces = await rowsOf(data, count, dimension);
  const q = tf.tensor2d(new Float32Array((await Deno.readFile(queries)).buffer), [
    batch,
    dimension,
  ]);
  let first: number[] = [];
  const ms = await median(repeat, async () => {
    const mean = tf.tidy(() => {
      let m: tf.Tensor = tf.fill([batch, 1], -1e30), z: tf.Tensor = tf.zeros([batch, 1]);
      let y: tf.Tensor = tf.zeros([batch, dimension]);
      for (const { x, norms } of pieces) {
        const dots = tf.matMul(q, x, false, true);
        const logits = tf.mul(tf.sub(dots, tf.mul(norms, 0.5)), 1 / sigma ** 2);
        const top = tf.maximum(m, tf.max(logits, 1, true));
        const w = tf.exp(tf.sub(logits, top)), r = tf.exp(tf.sub(m, top));
        y = tf.add(tf.mul(y, r), tf.matMul(w as tf.Tensor2D, x));
        z = tf.add(tf.mul(z, r), tf.sum(w, 1, true));
        m = top;
      }
      return tf.div(y, z);
    });
    first = [...(await mean.data()).subarray(0, 100)];
    mean.dispose();
  });
  q.dispose();
  return { ms, first };
});
Deno.exit(0);
