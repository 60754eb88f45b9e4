import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** Runs a program in a process of its own, so that the drivers can be chosen by its environment. */
async function run(program: string, env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", program],
    cwd: ROOT,
    env: { NO_COLOR: "1", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const NO_ADAPTER = {
  VK_DRIVER_FILES: "/nonexistent",
  VK_ICD_FILENAMES: "/nonexistent",
  DENO_WEBGPU_BACKEND: "vulkan",
};
const OPEN = (kind: string) =>
  `import { openDevice } from "@closedform/diffusion";
   const device = await openDevice("${kind}");
   console.log(device.kind + ": " + device.reason);
   device.dispose();`;

Deno.test("openDevice(auto) without an adapter takes the CPU, says why, and prints nothing else", async () => {
  const { code, stdout, stderr } = await run(OPEN("auto"), NO_ADAPTER);
  assert.deepEqual([code, stdout, stderr], [0, "wasm: no WebGPU adapter was found\n", ""]);
});

Deno.test("openDevice(webgpu) without an adapter is a DeviceError that says what to do", async () => {
  const { code, stderr } = await run(OPEN("webgpu"), NO_ADAPTER);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /DeviceError: Cannot open the device webgpu: found no WebGPU adapter, wanted .*wasm/,
  );
});

Deno.test("a program that never disposes its CPU device ends all the same", async () => {
  const { code, stdout } = await run(
    `import { moons, openDevice, optimal, sample } from "@closedform/diffusion";
     const denoiser = await optimal(moons(100), { device: await openDevice("wasm") });
     const { samples } = await sample(denoiser, { count: 2 });
     console.log(samples.count, samples.shape.join());`,
  );
  assert.deepEqual([code, stdout], [0, "2 2\n"]);
});
