/**
 * The Stop button of a notebook, as a signal that cancels.
 *
 * @module
 */

/** A signal that is held while a long work goes on. */
export interface StopButton extends Disposable {
  /** Aborts when the button is pressed, or when the signal that was given does. */
  readonly signal: AbortSignal | undefined;
}

/** The works that the button stops. */
const running = new Set<AbortController>();
let listening = false;

/**
 * Lets the Stop button of a notebook cancel a long work instead of ending the kernel.
 *
 * The button sends an interrupt to Deno's kernel, which ends it, with all variables. From the first
 * call of this function on it does not: an interrupt cancels what holds a stop button at that moment, and
 * nothing else. What may take long holds one by itself: sampling, training, fitting and estimating, and the metrics
 * that search; any other call takes its signal. A cell that never awaits hears nothing, and only a restart of the kernel ends it.
 *
 * Outside a notebook the signal that was given is all there is, and Ctrl-C does what it always does. The same
 * holds under Windows, where the button sends no interrupt. The kernel must be installed with interrupts by signal, as
 * `deno jupyter --install` does: an interrupt by message leaves a cell that awaits something waiting for ever.
 *
 * @param signal Another signal that cancels the work.
 * @returns A signal for the work, and an end to listening: `using` it ends it with the block.
 *
 * @example
 * ```ts
 * import { karrasGrid, moons, optimal, stopButton } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * // A loop of your own over the denoiser stops, too.
 * using stop = stopButton();
 * const denoiser = await optimal(moons(100), { device: "float64" });
 * let x: Float64Array = Float64Array.of(40, -30);
 * for (const sigma of karrasGrid(10).sigmas.slice(0, -1)) {
 *   stop.signal?.throwIfAborted();
 *   x = (await denoiser.denoise(x, sigma, { signal: stop.signal })).mean;
 * }
 * assert.equal(x.length, 2);
 * ```
 */
export function stopButton(signal?: AbortSignal): StopButton {
  listening ||= listen();
  if (!listening) return { signal, [Symbol.dispose]: () => {} };
  const work = new AbortController();
  running.add(work);
  return {
    signal: signal ? AbortSignal.any([signal, work.signal]) : work.signal,
    [Symbol.dispose]: () => void running.delete(work),
  };
}

/** Begins to listen, if this is a Deno kernel. */
function listen(): boolean {
  try {
    // Outside a kernel the property is there, but reading it throws.
    if (!Deno.jupyter || Deno.build.os === "windows") return false;
  } catch {
    return false;
  }
  Deno.addSignalListener("SIGINT", () => {
    for (const work of running) {
      work.abort(new DOMException("Stopped by the notebook", "AbortError"));
    }
  });
  return true;
}
