/** What the WebGPU adapter reaches at a plain copy and at plain multiply-adds. */

// Large enough to take much longer than the polling interval of a wait, about 11 ms.
const COPY = 32 * 2 ** 20, COPIES = 32, THREADS = 2 ** 16, ROUNDS = 2048, REPEATS = 16;

const COPY_KERNEL = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  target_[id.x] = source[id.x];
}`;

const MULTIPLY_ADD_KERNEL = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = source[id.x];
  var a = x; var b = x + 1.0; var c = x + 2.0; var d = x + 3.0;
  for (var r = 0; r < ${ROUNDS}; r++) {
    a = fma(a, x, x); b = fma(b, x, x); c = fma(c, x, x); d = fma(d, x, x);
  }
  target_[id.x] = a + b + c + d;
}`;

/** Bytes read plus bytes written per second, and floating-point operations per second. */
export async function gpuCeilings(
  device: GPUDevice,
): Promise<{ bytesPerSecond: number; flopPerSecond: number }> {
  const buffer = () =>
    device.createBuffer({ size: COPY, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const buffers = [buffer(), buffer()];
  // Not zeros: a product with a constant 0 could be left out.
  const seed = Float32Array.from({ length: COPY / 4 }, (_, i) => 1e-3 * (i % 7 - 3));
  device.queue.writeBuffer(buffers[0], 0, seed);
  const time = async (code: string, groups: number, times: number) => {
    device.pushErrorScope("validation");
    const pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    });
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bindGroup = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const seconds: number[] = [];
    for (let k = 0; k < 6; k++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      for (let i = 0; i < times; i++) pass.dispatchWorkgroups(groups);
      pass.end();
      const before = performance.now();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      seconds.push((performance.now() - before) / 1000);
    }
    // A kernel that does not run takes no time at all.
    const error = await device.popErrorScope();
    if (error) throw new TypeError(`Cannot measure the GPU: ${error.message}`);
    return Math.min(...seconds);
  };
  const copy = await time(COPY_KERNEL, COPY / 16 / 64, COPIES);
  const work = await time(MULTIPLY_ADD_KERNEL, THREADS / 64, REPEATS);
  for (const buffer of buffers) buffer.destroy();
  return {
    bytesPerSecond: COPIES * 2 * COPY / copy,
    flopPerSecond: REPEATS * THREADS * ROUNDS * 4 * 4 * 2 / work,
  };
}
