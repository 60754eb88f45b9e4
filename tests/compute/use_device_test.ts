import { openDevice, useDevice } from "@closedform/diffusion";
import type { DeviceName } from "@closedform/diffusion";
import { fromFileUrl } from "@std/path";
import assert from "node:assert/strict";
import { deviceOf } from "../../src/compute/use_device.ts";

const MODULE = new URL("../../src/compute/use_device.ts", import.meta.url).href;

/** What a program of its own prints. */
async function run(program: string, flags: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--quiet",
      ...flags,
      `import { deviceOf, useDevice } from "${MODULE}"; ${program}`,
    ],
    cwd: fromFileUrl(new URL("../..", import.meta.url)),
    env: { NO_COLOR: "1", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("a device that is named is opened once, and shared", async () => {
  const [a, b] = await Promise.all([deviceOf("wasm"), deviceOf("wasm")]);
  assert.equal(a, b);
  using own = await openDevice("wasm");
  assert.notEqual(own, a);
  assert.equal(await deviceOf(own), own);
});

Deno.test("useDevice() chooses for all calls that name none", async () => {
  const before = await useDevice("float64");
  assert.equal(before.kind, "float64");
  assert.equal(await deviceOf(), before);
  const after = await useDevice("wasm");
  assert.equal(await deviceOf(), after);
});

Deno.test("useDevice() that fails leaves the choice as it was", async () => {
  const chosen = await useDevice("wasm");
  await assert.rejects(useDevice("tpu" as DeviceName), RangeError);
  await assert.rejects(useDevice({} as DeviceName), TypeError);
  assert.equal(await deviceOf(), chosen);
});

Deno.test("CLOSEDFORM_DEVICE names the device, which one line tells once", async () => {
  const program = "await deviceOf(); console.log((await deviceOf()).kind)";
  const { stdout, stderr } = await run(program, [], { CLOSEDFORM_DEVICE: "float64" });
  assert.equal(stdout, "float64");
  assert.match(
    stderr,
    /^float64: CPU, float64 TypeScript, 1 thread \(CLOSEDFORM_DEVICE=float64\)$/,
  );
});

Deno.test("CLOSEDFORM_DEVICE with another word is an error that lists the names", async () => {
  const { code, stderr } = await run("await deviceOf()", [], { CLOSEDFORM_DEVICE: "tpu" });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /Cannot open the device tpu of CLOSEDFORM_DEVICE: wanted one of auto, webgpu, wasm, float64/,
  );
});

Deno.test("a device that useDevice() names is told by nothing but its result", async () => {
  const { stdout, stderr } = await run(
    'await useDevice("wasm"); console.log((await deviceOf()).kind)',
    [],
    { CLOSEDFORM_DEVICE: "float64" },
  );
  assert.deepEqual([stdout, stderr], ["wasm", ""]);
});
