import type { AnyTensor } from "@closedform/diffusion";
import type { Network, TrainingBackendKind, Weights } from "@closedform/diffusion/training";
import { RandomStream } from "@closedform/diffusion";
import {
  copyWeights,
  mlp,
  networkOf,
  openTrainingBackend,
  unet,
  weightTensors,
} from "@closedform/diffusion/training";
import * as tf from "@tensorflow/tfjs";
import assert from "node:assert/strict";
import { convolve, double, halve } from "../../src/training/image_layers.ts";
import { testDevices } from "../_helpers/devices.ts";
import { EPS32 } from "../_helpers/tolerance.ts";

const webgpu = (await testDevices()).find(({ kind }) => kind === "webgpu")!.skip === undefined;
const BACKENDS: TrainingBackendKind[] = ["cpu", "wasm", ...(webgpu ? ["webgpu" as const] : [])];

function normals(length: number, sample: number): Float32Array {
  const stream = new RandomStream({ seed: 3, sample, purpose: "theory" });
  return Float32Array.from({ length }, () => stream.normal());
}

const NETWORKS: Network[] = [
  mlp({ shape: [2, 3], width: 10, layers: 2, frequencies: 3 }),
  unet({ shape: [4, 6, 2], channels: [3, 5], blocks: 2, frequencies: 2 }),
];

/** All weights drawn anew, also those that start from zero. */
function drawn(network: Network, size = 1): Weights {
  let k = 0;
  return copyWeights(
    network.initial(),
    (values) =>
      normals(values.length, k++).map((v) => v * size / Math.sqrt(Math.max(10, values.length / 8))),
  );
}

function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
}

const B = 4;

/** A number made of the whole output, and its gradients. */
async function evaluate(network: Network, weights: Weights, kind: TrainingBackendKind) {
  using backend = await openTrainingBackend(kind);
  const length = B * network.shape.reduce((a, b) => a * b);
  const names = Object.keys(weights);
  const { value, grads } = backend.run(() =>
    tf.tidy(() => {
      const shape = [B, ...network.shape];
      const x = tf.tensor(normals(length, 100), shape),
        pull = tf.tensor(normals(length, 101), shape);
      const noise = tf.tensor(normals(B, 102), [B, 1]);
      return tf.valueAndGrads((...given: AnyTensor[]) => {
        const named = Object.fromEntries(names.map((name, i) => [name, given[i]]));
        return tf.sum(tf.mul(pull, network.apply(named, x, noise))) as tf.Scalar;
      })(Object.values(weightTensors(weights)));
    })
  );
  const arrays = await Promise.all([value, ...grads].map((t) => t.data()));
  tf.dispose([value, ...grads]);
  return { value: arrays[0][0], gradients: arrays.slice(1) as Float32Array[] };
}

for (const network of NETWORKS) {
  Deno.test(`${network.label}: gradients are those of central differences`, async () => {
    const weights = drawn(network), names = Object.keys(weights);
    const { gradients } = await evaluate(network, weights, "wasm");
    for (const [k, name] of names.entries()) {
      // As long as the weights themselves.
      const { values } = weights[name];
      const scale = norm(values) / Math.sqrt(values.length);
      const direction = normals(values.length, 200 + k).map((v) => v * scale);
      const at = (h: number) => {
        const moved = { ...weights[name], values: values.map((v, i) => v + h * direction[i]) };
        return evaluate(network, { ...weights, [name]: moved }, "wasm");
      };
      const slope = gradients[k].reduce((sum, g, i) => sum + g * direction[i], 0);
      const h = 0.02;
      const [a, b, c, d] = await Promise.all([at(-2 * h), at(-h), at(h), at(2 * h)]);
      const measured = (a.value - 8 * b.value + 8 * c.value - d.value) / (12 * h);
      // Truncation is of order h⁴ = 2e-7, times a fifth derivative; rounding of the values, of the size of the slope
      // in all directions, of order ε/h = 3e-6, times a few dozen operations.
      const size = norm(gradients[k]) * scale + Math.abs(a.value);
      assert.ok(
        Math.abs(measured - slope) < 5e-4 * size,
        `${name}: ${measured} ${slope} ${size}`,
      );
    }
  });

  Deno.test(`${network.label} is the same on every backend and after its config`, async () => {
    const weights = drawn(network);
    const again = networkOf(JSON.parse(JSON.stringify(network.config)));
    const wanted = await evaluate(network, weights, "cpu");
    for (const backend of BACKENDS) {
      const found = await evaluate(again, weights, backend);
      found.gradients.forEach((g, k) => {
        const largest = wanted.gradients[k].reduce((most, v) => Math.max(most, Math.abs(v)), 0);
        // Sums of a few hundred products in another order, through six layers.
        g.forEach((v, i) =>
          assert.ok(Math.abs(v - wanted.gradients[k][i]) <= 256 * EPS32 * largest, backend)
        );
      });
    }
  });

  Deno.test(`${network.label} says nothing at first, and learns from there`, async () => {
    const { value, gradients } = await evaluate(network, network.initial(), "cpu");
    assert.equal(value, 0);
    assert.ok(gradients.some((g) => g.some((v) => v !== 0)));
  });
}

Deno.test("convolve() is tfjs's convolution, and so are its gradients", async () => {
  using backend = await openTrainingBackend("cpu");
  const [height, width, inputs, outputs] = [5, 4, 3, 2];
  const x = normals(B * height * width * inputs, 1), w = normals(9 * inputs * outputs, 2);
  const pull = normals(B * height * width * outputs, 3);
  const [ours, theirs] = backend.run(() =>
    tf.tidy(() => {
      const shape = [B, height, width, inputs];
      const pulled = tf.tensor(pull, [B, height, width, outputs]);
      const reference = tf.valueAndGrads((x: AnyTensor, w: AnyTensor) =>
        tf.sum(
          tf.mul(pulled, tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, "same")),
        ) as tf.Scalar
      )([tf.tensor(x, shape), tf.tensor(w, [3, 3, inputs, outputs])]);
      const own = tf.valueAndGrads((x: AnyTensor, w: AnyTensor) => {
        const rows = tf.transpose(tf.reshape(w, [9, inputs, outputs]), [2, 0, 1]);
        const weight = tf.concat(
          [tf.reshape(rows, [outputs, 9 * inputs]), tf.zeros([outputs, 1])],
          1,
        );
        const y = convolve(tf.transpose(x, [3, 1, 2, 0]), weight);
        return tf.sum(tf.mul(pulled, tf.transpose(y, [3, 1, 2, 0]))) as tf.Scalar;
      })([tf.tensor(x, shape), tf.tensor(w, [3, 3, inputs, outputs])]);
      return [own, reference].map(({ value, grads }) => [value, ...grads].map((t) => t.dataSync()));
    })
  );
  // Sums of up to 80 products of normal numbers, in another order.
  ours.forEach((array, k) =>
    array.forEach((v, i) => assert.ok(Math.abs(v - theirs[k][i]) < 80 * 16 * EPS32, `${k} ${i}`))
  );
});

Deno.test("halve() takes means over squares, double() repeats pixels, and the first undoes the second", async () => {
  using backend = await openTrainingBackend("wasm");
  const x = [1, 2, 3, 4, 5, 6, 7, 8];
  const [small, back] = backend.run(() =>
    tf.tidy(() => {
      const image = tf.tensor(x, [1, 2, 4, 1]);
      return [halve(image), halve(double(image))].map((t) => [...t.dataSync()]);
    })
  );
  assert.deepEqual(small, [3.5, 5.5]);
  assert.deepEqual(back, x);
});

Deno.test("networks refuse sizes that make no sense", () => {
  assert.throws(() => mlp({ shape: [2], width: 0 }), RangeError);
  assert.throws(() => unet({ shape: [4] }), TypeError);
  assert.throws(() => unet({ shape: [6, 6, 1], channels: [4, 4, 4] }), RangeError);
  assert.throws(() => unet({ shape: [6, 6, 1], channels: [] }), RangeError);
  assert.throws(() => unet({ shape: [6, 6, 1], blocks: 0.5 }), RangeError);
  assert.throws(() => networkOf({ kind: "magic" }), RangeError);
});
