import { loadAutoencoder } from "@closedform/diffusion";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { main } from "../../src/cli/train_codec.ts";
import { withFolder } from "../_helpers/files.ts";

/** The exit code of a run, and its lines of standard error. */
async function runOf(args: string[], signal?: AbortSignal) {
  const error = console.error, lines: string[] = [];
  console.error = (line: string) => void lines.push(line);
  try {
    return { code: await main(args, signal), lines };
  } finally {
    console.error = error;
  }
}

const SMALL = ["--data", "tiny-shapes:80", "--latents", "5", "--components", "20", "--width", "8"];

Deno.test("train:codec writes an autoencoder that opens as a codec", () =>
  withFolder(async (folder) => {
    const out = join(folder, "codec.safetensors");
    const { code, lines } = await runOf([...SMALL, "--steps", "4", "--out", out]);
    assert.equal(code, 0, lines.join());
    assert.match(lines[0], /^tiny shapes: 80 items/);
    assert.match(lines[1], /^step 4\/4, loss .*, 0.0 s left$/);
    using codec = await loadAutoencoder(out);
    assert.deepEqual([codec.latentDimension, codec.shape], [5, [12, 12, 1]]);
  }));

Deno.test("train:codec says in one line what is wrong, and leaves no file", () =>
  withFolder(async (folder) => {
    const out = ["--out", join(folder, "codec.safetensors")];
    const cases: [string[], RegExp, number?][] = [
      [["--latents", "0"], /--latents 0: wanted a whole number >= 1/],
      [["--stability", "-1"], /--stability/],
      [["--stability", "x"], /--stability x/],
      [["--latents", "21"], /latentDimension is 21, wanted at most 20/],
      [["--data", "npy:none.npy"], /none\.npy/],
      [["--width", "1000000000"], /Cannot make weights: 20×1000000000 weights .* GB, wanted/],
      [["--magic"], /Cannot use --magic: there is no such option, wanted one of --data, /],
      // Before it trains, which would take a while.
      [
        ["--out", join(folder, "none/x"), "--steps", "1000000"],
        /^Cannot write .*x: No such file/,
        1,
      ],
    ];
    for (const [args, message, expected = 2] of cases) {
      const { code, lines } = await runOf([...SMALL, ...out, "--quiet", ...args]);
      assert.deepEqual([code, lines.length], [expected, 1], lines.join());
      assert.match(lines[0], message);
    }
    const signal = AbortSignal.abort(new DOMException("Interrupted", "AbortError"));
    assert.equal((await runOf([...SMALL, ...out], signal)).code, 130);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));
