/** What the WebGPU adapter reaches at a plain copy and at plain multiply-adds. */

const COPY = 32 * 2 ** 20, THREADS = 2 ** 16, ROUNDS = 2048;

const COPY_KERNEL = `
@group(0) @binding(0) var<storage, read> from: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> to: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  to[id.x] = from[id.x];
}`;

const MULTIPLY_ADD_KERNEL = `
@group(0) @binding(0) var<storage, read> from: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> to: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = from[id.x];
  var a = x; var b = x + 1.0; var c = x + 2.0; var d = x + 3.0;
  for (var r = 0; r < ${ROUNDS}; r++) {
    a = fma(a, x, x); b = fma(b, x, x); c = fma(c, x, x); d = fma(d, x, x);
  }
  to[id.x] = a + b + c + d;
}`;

/** Bytes read plus bytes written per second, and floating-point operations per second. */
export async function gpuCeilings(
  device: GPUDevice,
): Promise<{ bytesPerSecond: number; flopPerSecond: number }> {
  const buffer = () => device.createBuffer({ size: COPY, usage: GPUBufferUsage.STORAGE });
  const buffers = [buffer(), buffer()];
  const time = async (code: string, groups: number) => {
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
      pass.dispatchWorkgroups(groups);
      pass.end();
      const before = performance.now();
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      seconds.push((performance.now() - before) / 1000);
    }
    return Math.min(...seconds);
  };
  const copy = await time(COPY_KERNEL, COPY / 16 / 64);
  const work = await time(MULTIPLY_ADD_KERNEL, THREADS / 64);
  for (const buffer of buffers) buffer.destroy();
  return { bytesPerSecond: 2 * COPY / copy, flopPerSecond: THREADS * ROUNDS * 4 * 4 * 2 / work };
}
