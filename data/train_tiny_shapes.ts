/**
 * Makes the shipped network again: `deno run -A data/train_tiny_shapes.ts [steps]`, about three minutes on one core.
 *
 * A multilayer perceptron on 4,096 tiny shapes: 8,000 steps of 128 images. What was trained so
 * far is kept in `out/`; a second call with more steps continues there. The weights, averaged, are stored in 16 bits.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { tinyShapes } from "@closedform/diffusion";
import { encodeNetwork, trainDenoiser } from "@closedform/diffusion/training";

/** The options that the shipped network was trained with. */
export const STEPS = 8000;

if (import.meta.main) {
  const steps = Number(Deno.args[0] ?? STEPS);
  const path = (name: string) => fromFileUrl(new URL(name, import.meta.url));
  await Deno.mkdir(path("../out"), { recursive: true });
  await Deno.mkdir(path("networks"), { recursive: true });
  const trained = await trainDenoiser(tinyShapes(4096), {
    steps,
    backend: "wasm",
    checkpoint: path("../out/tiny-shapes-training.safetensors"),
    onStep({ step, loss, imagesPerSecond, remaining }) {
      if (step % 500 !== 0) return;
      console.log(
        `step ${step}: loss ${loss.toFixed(4)}, ${imagesPerSecond.toFixed(0)} images/s, ` +
          `${remaining.toFixed(0)} s left`,
      );
    },
  });
  const bytes = encodeNetwork(trained, "float16");
  await Deno.writeFile(path("networks/tiny-shapes.safetensors"), bytes);
  console.log(`data/networks/tiny-shapes.safetensors: ${bytes.length} bytes`);
}
