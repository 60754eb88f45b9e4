/**
 * tfjs's CPU backend, which holds the tensors of the devices that compute on the CPU.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";

/**
 * Makes tfjs's CPU backend the active one, without its advice about Node.js.
 */
export async function useCpuBackend(): Promise<void> {
  await tf.setBackend("cpu");
  await tf.ready();
  // The backend prints a banner with its first tensor, except in production mode.
  const production = tf.env().getBool("PROD");
  tf.env().set("PROD", true);
  tf.dispose(tf.tensor([0]));
  tf.env().set("PROD", production);
}
