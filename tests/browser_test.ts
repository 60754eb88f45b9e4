/** The entry for pages: what its bundle asks for, and what a page computes with it in Chromium. */
import type { Bitmap, DeviceKind } from "@closedform/diffusion";
import {
  builtinShapes,
  ddpmGrid,
  DeviceError,
  imageGrid,
  openDevice,
  optimal,
  sample,
  shapes,
  startNoise,
} from "@closedform/diffusion";
import { referencePosterior } from "@closedform/diffusion/compute";
import * as library from "@closedform/diffusion/browser";
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";
import { chromiumMissing, withPage } from "./_helpers/chromium.ts";
import type { Page } from "./_helpers/chromium.ts";
import { withFolder } from "./_helpers/files.ts";
import { assertClose, EPS32, posteriorTolerance } from "./_helpers/tolerance.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));

/** Chromium's software adapter, which it offers only when asked. */
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Longest wait for the page to be done, in milliseconds. */
const PATIENCE = 90_000;

const skip = await chromiumMissing();
if (skip && Deno.env.get("REQUIRE_BROWSER")) {
  throw new DeviceError(`tests require a browser: ${skip}`);
}

/** Registers a test that needs Chromium. */
function testInBrowser(name: string, body: () => Promise<void>): void {
  const ignore = skip !== undefined;
  Deno.test({ name: `${name}${ignore ? `, skipped: ${skip}` : ""}`, ignore, fn: body });
}

/** Makes one file of the entry. */
async function bundle(output: string): Promise<void> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--platform", "browser", "--minify", "--output", output, "src/browser.ts"],
    cwd: ROOT,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

Deno.test("deno bundle makes one file of the entry for pages, which begins with no module of Node.js", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/diffusion.js`;
    await bundle(file);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--no-config", "--json", file],
    }).output();
    const [{ dependencies = [] }]: { dependencies?: { specifier: string; isDynamic?: true }[] }[] =
      JSON.parse(new TextDecoder().decode(stdout)).modules;
    // What a cache needs, once there is a file.
    assert.deepEqual(dependencies.filter(({ isDynamic }) => !isDynamic), []);
    assert.deepEqual(dependencies.map(({ specifier }) => specifier), ["node:crypto"]);
    const { size } = await Deno.stat(file);
    // Neither charts nor decoders of images, which would be megabytes.
    assert.ok(size < 1.2e6, `${size} bytes`);
  });
});

/** Opens the page of this folder, served with its bundle and the shipped images, and waits until it is done. */
async function withSite(
  flags: readonly string[],
  body: (page: Page, line: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    await bundle(`${folder}/diffusion.js`);
    const site: Record<string, [type: string, file: string]> = {
      "/": ["text/html", `${ROOT}tests/browser/index.html`],
      "/diffusion.js": ["text/javascript", `${folder}/diffusion.js`],
      "/images-idx4-ubyte.gz": [
        "application/octet-stream",
        `${ROOT}data/shapes/images-idx4-ubyte.gz`,
      ],
    };
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    await using server = Deno.serve(options, async ({ url }) => {
      const [type, file] = site[new URL(url).pathname] ?? [];
      return file
        ? new Response(await Deno.readFile(file), { headers: { "content-type": type! } })
        : new Response(null, { status: 404 });
    });
    await withPage(`http://127.0.0.1:${server.addr.port}/`, flags, async (page) => {
      await body(page, await finalLine(page));
    });
  });
}

async function finalLine(page: Page): Promise<string> {
  for (const begin = performance.now(); performance.now() - begin < PATIENCE;) {
    const line = await page.evaluate<string>("document.querySelector('p')?.textContent ?? ''");
    if (line && !line.endsWith("…")) return line;
    // A bundle that does not load would leave the page waiting, and throws here.
    if (line) await page.evaluate('import("./diffusion.js").then(() => true)');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`the page was not done within ${PATIENCE} ms`);
}

/** Calls a function in the page, with the library there and the same arguments of JSON as here. */
async function inPage<A extends unknown[], R>(
  page: Page,
  body: (lib: typeof library, ...args: A) => Promise<R>,
  ...args: A
): Promise<R> {
  const list = JSON.stringify(args);
  return await page.evaluate(`import("./diffusion.js").then((lib) => (${body})(lib, ...${list}))`);
}

/** What a device computes of two samples of the shipped images. */
async function walk(
  { openDevice, optimal, sample, shapes }: typeof library,
  kind: DeviceKind | "auto",
) {
  using device = await openDevice(kind);
  using denoiser = await optimal(shapes(4096), { device });
  const { x, denoised, trajectory } = await sample(denoiser, {
    count: 2,
    seed: 1,
    trajectory: true,
    output: "tensor",
  });
  denoiser.space.dispose(x, denoised);
  return {
    device: [device.kind, device.description, device.reason],
    points: trajectory!.map(({ sigma, x, denoised }) => ({
      sigma,
      x: Array.from(x),
      denoised: Array.from(denoised),
    })),
  };
}

/** Fails unless each step of two samples is what float64 makes of the state before it. */
function assertWalk({ points }: Awaited<ReturnType<typeof walk>>): void {
  const set = shapes(4096), d = set.dimension;
  const start = startNoise(1, 0, 2, d).map((e) => ddpmGrid().startScale * e);
  // One rounding, and one for how engines differ in logarithms and cosines.
  assertClose(points[0].x, start, 2 * EPS32 * Math.max(...start.map(Math.abs)), "start");
  for (let k = 1; k < points.length; k++) {
    const { sigma, x, denoised } = points[k - 1], after = points[k];
    const rho = after.sigma / sigma;
    // Two products, each of a rounded coefficient, and a sum.
    const most = Math.max(...x.map((v, i) => rho * Math.abs(v) + Math.abs(denoised[i])));
    const next = x.map((v, i) => rho * v + (1 - rho) * denoised[i]);
    assertClose(after.x, next, 4 * EPS32 * most, `step ${k}`);
    // One of the two rows at each step.
    const at = k % 2 * d;
    const query = Float32Array.from(x.slice(at, at + d));
    assertClose(
      denoised.slice(at, at + d),
      referencePosterior(set, query, sigma).mean,
      posteriorTolerance(set, query, sigma).mean,
      `posterior mean at noise level ${sigma}`,
    );
  }
}

/** What denoisers that compute on the CPU, too, make of a noisy image. */
async function denoiseTiny(
  {
    goldenSubset,
    local,
    openDevice,
    optimal,
    pcaLocality,
    startNoise,
    tinyShapes,
    wiener,
  }: typeof library,
  kind: DeviceKind | "auto",
) {
  using device = await openDevice(kind);
  const set = tinyShapes(300), sigma = 0.7;
  const base = await optimal(set, { device });
  const denoisers = {
    wiener: await wiener(set, { device }),
    pcaLocality: await pcaLocality(set, { device }),
    local: await local(set, { device }),
    goldenSubset: await goldenSubset(base),
  };
  const x = base.space.from(
    startNoise(1, 0, 1, set.dimension).map((e, i) => set.data[i] + sigma * e),
    [1, ...set.shape],
  );
  const means: Record<string, number[]> = {};
  for (const [name, denoiser] of Object.entries(denoisers)) {
    const mean = (await denoiser.denoise(x, sigma)).mean;
    means[name] = Array.from(await base.space.values(mean));
    base.space.dispose(mean);
    denoiser.dispose();
  }
  base.space.dispose(x);
  base.dispose();
  return means;
}

/** The picture on the canvas of the page. */
async function canvasOf(page: Page): Promise<Bitmap> {
  const { width, height, data } = await page.evaluate<
    { width: number; height: number; data: string }
  >(`(() => {
    const canvas = document.querySelector("canvas"), { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    return { width, height, data: new Uint8Array(data).toBase64() };
  })()`);
  return { width, height, data: Uint8Array.fromBase64(data) };
}

testInBrowser(
  "a page samples the shipped images on WebGPU, by the same numbers, and shows their grid",
  () =>
    withSite(WEBGPU, async (page, line) => {
      assert.match(line, /^webgpu, google swiftshader: [\d.]+ s$/);
      using device = await openDevice("wasm");
      using denoiser = await optimal(await builtinShapes(), { device });
      const { x, denoised } = await sample(denoiser, { count: 16, seed: 1, output: "tensor" });
      // Samples are images of the set, so that no byte of the picture is near a rounding edge.
      const shown = await canvasOf(page),
        grid = imageGrid(await x.data(), { shape: denoiser.shape });
      assert.deepEqual([shown.width, shown.height], [grid.width, grid.height]);
      assertClose(shown.data, grid.data, 0, "bytes of the picture");
      denoiser.space.dispose(x, denoised);
      const walked = await inPage(page, walk, "webgpu");
      assert.deepEqual(walked.device, ["webgpu", "google swiftshader", "asked for"]);
      assertWalk(walked);
    }),
);

testInBrowser(
  "a page without WebGPU says so in one line, and computes on one thread of the CPU",
  () =>
    withSite([], async (page, line) => {
      assert.match(line, /^Cannot open the device webgpu: found no WebGPU adapter, wanted .*wasm/);
      const walked = await inPage(page, walk, "auto");
      const [kind, description, reason] = walked.device;
      assert.deepEqual([kind, reason], ["wasm", "no WebGPU adapter was found"]);
      assert.match(description, /, 1 thread$/);
      assertWalk(walked);
      assert.equal(
        await inPage(page, ({ readIdx }) => readIdx("x").then(String, (error) => error.message)),
        "Cannot read x: found no file system, wanted bytes as a Blob, which fetch() and forms give",
      );
      const here = await denoiseTiny(library, "wasm"),
        there = await inPage(page, denoiseTiny, "wasm");
      for (const [name, mean] of Object.entries(here)) {
        // The same kernels on numbers of at most 1: only sums may be split among threads in another way.
        assertClose(there[name], mean, 8 * EPS32, name);
      }
    }),
);
