/** Mistakes that types would catch, in cells of a notebook that has none: each is refused in one line that tells the way out. */
import * as package_ from "../_helpers/all_entries.ts";
import assert from "node:assert/strict";
import { received } from "../../src/base/_kinds.ts";

// deno-lint-ignore no-explicit-any -- what a cell without types calls
const library = package_ as any;
const { moons, openDevice, optimal, smoothed, tensorSpace } = package_;

Deno.test("received() tells what a value is, and how it came about", () => {
  const values: [unknown, string][] = [
    [undefined, "undefined"],
    [null, "null"],
    [3, "3"],
    ["heun", '"heun"'],
    [Promise.resolve(), "a Promise, which was not awaited"],
    [openDevice, "the function openDevice, which was not called"],
    [[1, 2], "an array of 2"],
    [{}, "an object of nothing"],
    [{ a: 1, b: 2, c: 3, d: 4, e: 5 }, "an object of a, b, c, d, …"],
    [moons(5), "of type Dataset"],
    [Object.create(null), "an object of nothing"],
  ];
  for (const [value, words] of values) assert.equal(received(value), words);
});

Deno.test("mistakes of newcomers are refused in one line", async () => {
  using device = await openDevice("wasm");
  const data = moons(20);
  using denoiser = await optimal(data, { device });
  const x = tensorSpace.from([0, 0], [1, 2]);
  const { sample } = library;
  const calls: [() => unknown, RegExp][] = [
    [
      () => sample(optimal(data, { device }), { output: "tensor" }),
      /denoiser is a Promise, which was not awaited/,
    ],
    [() => sample(data, { output: "tensor" }), /denoiser is of type Dataset, wanted a denoiser/],
    [
      () => sample(denoiser, 16),
      /options is 16, wanted an object of count, sampler/,
    ],
    [
      () => sample(denoiser, { step: 5 }),
      /there is no option step, wanted steps/,
    ],
    [
      () => sample(denoiser, { count: "2", output: "tensor" }),
      /count is "2", wanted a whole number >= 1/,
    ],
    [
      () => sample(denoiser, { sampler: "hoin", output: "tensor" }),
      /Cannot make the sampler hoin: wanted one of/,
    ],
    [
      () => sample(denoiser, { sampler: package_.heun, output: "tensor" }),
      /the function heun, which was not called/,
    ],
    [
      () => sample(denoiser, { grid: 10, output: "tensor" }),
      /grid is 10, wanted a grid/,
    ],
    [() => library.optimal(data, { device: 5 }), /device is 5, wanted a device: its name, or one/],
    [() => library.optimal(data, { device: "gpu" }), /device gpu: wanted one of auto, webgpu/],
    [() => library.optimal(data, device), /there is no option kind, wanted one of device/],
    [() => library.optimal([[1, 2]], { device }), /data is an array of 1, wanted a data set/],
    [() => library.wiener(library.builtinShapes(), { device }), /source is a Promise/],
    [() => library.goldenSubset(denoiser, { device }), /option device with a denoiser, which has/],
    [() => library.tiledGoldenSubset(data), /base is of type Dataset/],
    [
      () =>
        library.optimal(data, { device }).then((d: typeof denoiser) =>
          d.denoise([0, 0] as never, 1)
        ),
      /queries are an array of 2, wanted a tensor/,
    ],
    [() => denoiser.denoise(x, library.missing), /sigma is undefined, wanted a number/],
    [() => library.smoothed(denoiser, { bandwidth: 1, M: 4 }), /no option M, wanted one/],
    [() => library.smoothed(library.moons), /source is the function moons, which was not called/],
    [() => library.teleport("heun"), /sampler is "heun"/],
    [() => library.teleport(package_.heun(), 3), /leg is 3, wanted a first leg/],
    [() => library.nearestItems([1, 2]), /points is undefined, wanted a data set/],
    [() => library.memorisedShare([1, 2]), /items is an array of 2, wanted what nearestItems/],
    [() => library.mse(3, x), /samples are 3, wanted a run, a data set, a tensor, or an array/],
    [() => new library.Dataset(), /data is undefined/],
    [() => new library.Dataset({ data: [1], shape: [1], name: "x" }), /data is an array of 1/],
    [() => library.lineSpec({ label: "x", x: [1], y: [1] }), /series is an object of label, x, y/],
    [() => library.readImages("x", { resize: 64 }), /no option resize, wanted one of limit, /],
    [() => library.show(library.builtinShapes()), /it is a Promise, which was not awaited/],
  ];
  for (const [call, message] of calls) {
    const error = await Promise.resolve().then(call).then(
      () => assert.fail(`${call}: no error`),
      (error: unknown) => error,
    );
    assert.ok(error instanceof TypeError || error instanceof RangeError, `${call}: ${error}`);
    assert.match(error.message, /^Cannot [^\n]*: [^\n]*wanted[^\n]*$/, `${call}`);
    assert.match(error.message, message, `${call}`);
  }
  assert.equal(
    (await smoothed(denoiser, { bandwidth: 1, draws: 2, seed: 3 })).shape,
    denoiser.shape,
  );
  x.dispose();
});
