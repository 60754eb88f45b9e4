/** A guard against leaked tensors. */
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";

/** Runs `body` and fails unless it leaves as many tensors as it found, plus `returned`. */
export async function withoutLeaks(
  body: () => Promise<void>,
  returned = 0,
): Promise<void> {
  const before = tf.memory().numTensors;
  await body();
  assert.equal(
    tf.memory().numTensors - before,
    returned,
    "tensors left behind",
  );
}
