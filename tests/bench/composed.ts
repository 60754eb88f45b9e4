/** Answers jobs with operations of tfjs: `deno run -A composed.ts wasm|webgpu`. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-webgpu";
import { answerJobs, median } from "./_jobs.ts";

await tf.setBackend(Deno.args[0]);
await tf.ready();

interface Piece {
  readonly file: string;
  readonly x: tf.Tensor2D;
  /** The same rows as columns: a product with them is 6 times faster on the wasm backend than one that transposes. */
  readonly columns: tf.Tensor2D;
  readonly norms: tf.Tensor2D;
}

let loaded: Piece[] = [];

/** Rows in pieces that fit a binding of 128 MiB. */
async function rowsOf(file: string, count: number, dimension: number) {
  if (loaded[0]?.file === file) return loaded;
  for (const { x, columns, norms } of loaded) tf.dispose([x, columns, norms]);
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
      columns: tf.transpose(x),
      norms: tf.tidy(() => tf.reshape(tf.sum(tf.square(x), 1), [1, -1])),
    });
  }
  return loaded;
}

await answerJobs(async ({ data, queries, count, dimension, batch, sigma, repeat }) => {
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
      for (const { x, columns, norms } of pieces) {
        const dots = tf.matMul(q, columns);
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
