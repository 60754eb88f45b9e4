import { moons, sample, stopButton, uniformTGrid } from "@closedform/diffusion";
import { optimalFloat64 } from "../_helpers/float64.ts";
import assert from "node:assert/strict";
import { pythonOfJupyter, runCells } from "../_helpers/kernel.ts";
import { startProgram } from "../_helpers/killing.ts";

Deno.test("stopButton() outside a notebook is the signal that was given", () => {
  const { signal } = new AbortController();
  using stop = stopButton(signal);
  assert.equal(stop.signal, signal);
  using none = stopButton();
  assert.equal(none.signal, undefined);
});

Deno.test({
  name: "stopButton() in a notebook aborts what is under way, and what is over no more",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    // The module with a kernel around it: outside of one, Deno does not let itself be changed.
    const text = await Deno.readTextFile(new URL("../../src/base/stop_button.ts", import.meta.url));
    const inKernel = "const Deno = Object.create(globalThis.Deno, { jupyter: { value: {} } });\n" +
      text;
    const url = `data:application/typescript,${encodeURIComponent(inKernel)}`;
    const { code, stdout, stderr } = await startProgram(`
      const { stopButton } = await import(${JSON.stringify(url)});
      const over = stopButton(), running = stopButton(), given = stopButton(new AbortController().signal);
      over[Symbol.dispose]();
      const stopped = new Promise((resolve) => running.signal.addEventListener("abort", resolve));
      Deno.kill(Deno.pid, "SIGINT");
      await stopped;
      const later = stopButton();
      console.log([over, running, given, later].map(({ signal }) => signal.aborted).join());
      Deno.exit(0);`).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout).trim(), "false,true,true,false");
  },
});

Deno.test("sample() lets a timer cancel it, though it computes on the main thread", async () => {
  const signal = AbortSignal.timeout(100);
  const start = performance.now();
  await assert.rejects(
    sample(optimalFloat64(moons(500)), {
      count: 16,
      grid: uniformTGrid(100_000),
      signal,
      output: "tensor",
    }),
    { name: "TimeoutError" },
  );
  // Ten thousands of steps take minutes.
  assert.ok(performance.now() - start < 10_000);
});

const SETUP = `
import * as tf from "@tensorflow/tfjs-core";
import { karrasGrid, moons, openDevice, optimal, sample, startNoise, wasserstein2 }
  from "@closedform/diffusion";
import { mlp, trainDenoiser } from "@closedform/diffusion/training";
const device = await openDevice("wasm");
const denoiser = await optimal(moons(2000), { device });
const few = { count: 8, grid: karrasGrid(18), seed: 3 };
const draw = async () => (await sample(denoiser, few)).samples.data.join();
const before = await draw();
const tensors = tf.memory().numTensors;
const running = ({ done }) => { if (done === 3) console.log("running"); };
`;

/** That everything made before still works, gives the same numbers, and no tensor was left behind. */
const STILL = `console.log(await draw() === before, tf.memory().numTensors - tensors)`;

const ENDLESS = "{ count: 64, grid: karrasGrid(1_000_000), onProgress: running }";

const python = await pythonOfJupyter();

Deno.test({
  name: `a long cell that is stopped leaves the kernel and all that was made before${
    python ? "" : ", skipped: no Python with jupyter_client"
  }`,
  ignore: python === undefined,
  fn: async () => {
    const stopped = [
      `await sample(denoiser, ${ENDLESS})`,
      `await sample(await optimal(moons(100), { device: "float64" }), ${ENDLESS})`,
      // Pressed again, and with a signal of its own.
      `await sample(denoiser, { ...${ENDLESS}, signal: new AbortController().signal })`,
      // 3,000 points each: seconds without a report of progress.
      `console.log("running"); await wasserstein2(startNoise(1, 0, 3000, 2), startNoise(2, 0, 3000, 2), { dimension: 2 })`,
      `await trainDenoiser(moons(100), { network: mlp({ shape: [2], width: 8 }), steps: 1_000_000,
        onStep: ({ step }) => running({ done: step }) })`,
    ];
    const cells = [
      { code: SETUP },
      ...stopped.flatMap((code) => [{ code, stop: "running" }, { code: STILL }]),
      // What holds no stop button goes on to its end, and the kernel stays all the same.
      {
        code: `console.log("running"); await new Promise((done) => setTimeout(done, 500));
          console.log("ended")`,
        stop: "running",
      },
      {
        code: `await sample(denoiser, { ...${ENDLESS}, signal: AbortSignal.timeout(200) })`,
      },
      { code: STILL },
    ];
    const [setup, ...results] = await runCells(python!, cells);
    assert.equal(setup.status, "ok", setup.error);
    const isStill = ({ status, text, error }: typeof setup) =>
      assert.deepEqual([status, text.trim(), error], ["ok", "true 0", ""]);
    for (const k of stopped.keys()) {
      const { status, error } = results[2 * k];
      assert.deepEqual(
        [status, error],
        ["error", "AbortError: Stopped by the notebook"],
        stopped[k],
      );
      isStill(results[2 * k + 1]);
    }
    const [pending, timeout, still] = results.slice(2 * stopped.length);
    assert.deepEqual([pending.status, pending.text], ["ok", "running\nended\n"]);
    assert.match(timeout.error, /^TimeoutError/);
    isStill(still);
  },
});
