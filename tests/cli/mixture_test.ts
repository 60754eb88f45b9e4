import { main } from "@closedform/diffusion/cli";
import { join } from "@std/path";
import assert from "node:assert/strict";
import { parseOptions } from "../../src/cli/options.ts";

Deno.test("sample --denoiser mixture fits one, and says which component each sample is from", async () => {
  const out = await Deno.makeTempDir();
  try {
    const args =
      "--data tiny-shapes:200 --denoiser mixture --components 3 --rank 8 --count 4 --quiet";
    assert.equal(await main([...args.split(" "), "--device", "wasm", "--out", out]), 0);
    const record = JSON.parse(await Deno.readTextFile(join(out, "run.json")));
    assert.match(record.denoiser, /mixture of 3 on tiny shapes/);
    assert.equal(record.topComponent.length, 4);
    assert.ok(record.topComponent.every((k: number) => k >= 0 && k < 3));
    assert.equal(record.topItem, undefined);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});

Deno.test("the options of a mixture are for mixtures, and are numbers or classes", () => {
  const { mixture } = parseOptions(
    ["--denoiser", "mixture", "--components", "classes", "--rank", "0"],
  );
  assert.deepEqual(mixture, { components: "classes", rank: 0 });
  assert.deepEqual(parseOptions([]).mixture, {});
  assert.throws(() => parseOptions(["--components", "3"]), /--components.*mixture/);
  assert.throws(() => parseOptions(["--denoiser", "wiener", "--rank", "3"]), /--rank.*mixture/);
  const of = (...args: string[]) => () => parseOptions(["--denoiser", "mixture", ...args]);
  assert.throws(of("--components", "0"), /--components/);
  assert.throws(of("--rank", "-1"), /rank/);
});

Deno.test("sample --denoiser mixture exits 2 where it cannot be fitted", async () => {
  const out = await Deno.makeTempDir();
  try {
    const args = "--data moons:20 --denoiser mixture --components 50 --quiet --device float64";
    assert.equal(await main([...args.split(" "), "--out", out]), 2);
  } finally {
    await Deno.remove(out, { recursive: true });
  }
});
