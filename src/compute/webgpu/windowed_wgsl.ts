/**
 * The WGSL kernels of the posterior per pixel, as pure functions to text.
 *
 * @module
 */
import { WORKGROUP } from "../posterior_plan.ts";
import { DECAY, NO_DISTANCE } from "./posterior_wgsl.ts";
import type { Translations } from "../windowed.ts";

/** Parts of a chunk that are summed separately, so that few pixels keep a device busy. */
export const SPLITS = 16;
/** Work-groups along the first axis, at most. */
export const ACROSS = 2 ** 15;

/** What the text of the kernels depends on. */
export interface WindowShader {
  /** Whether the data are bytes. */
  readonly bytes: boolean;
  /** Numbers per pixel. */
  readonly channels: number;
  /** Which patches compete. */
  readonly translations: Translations;
}

/** What a kernel works on; `uniformWords` fills it. */
const WORK = /* wgsl */ `
struct Work {
  first: u32,       // the first pair of an entry and a translation
  count: u32,       // how many of them
  shifts: u32,      // translations
  vectors: u32,     // vectors of four numbers per row of data
  size: vec2i,      // rows and columns of pixels
  before: vec2i,    // reach of a window up and to the left
  extent: vec2i,    // rows and columns of a window
  radius: vec2i,    // half the side of a window, at most the size
  corner: vec2i,    // the first pixel that is asked for
  area: vec2i,      // rows and columns that are asked for
  rate: f32,        // nats per squared stored unit
}
struct Entry { row: u32, energy: f32 }`;

const INDEX = /* wgsl */ `
fn indexOf(group: vec3u, thread: u32) -> u32 { return (group.y * ${ACROSS}u + group.x) * ${WORKGROUP}u + thread; }`;

function wrapsOf({ translations }: WindowShader): boolean {
  return translations === "circular" || translations === "interior";
}

/** The number of a pixel of an image, at the place that a translation brings to `p`. */
function data(shader: WindowShader): string {
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> data: array<${shader.bytes ? "u32" : "vec4f"}>;
@group(0) @binding(1) var<storage, read> entries: array<Entry>;
@group(0) @binding(2) var<storage, read> shifts: array<vec2i>;
@group(0) @binding(3) var<uniform> work: Work;

fn number(row: u32, place: u32) -> f32 {
  let v = data[row * work.vectors + place / 4u];
  return ${shader.bytes ? "f32((v >> (8u * (place % 4u))) & 0xffu)" : "v[place % 4u]"};
}
fn inside(p: vec2i) -> vec2<bool> { return (p >= work.radius) & (p < work.size - work.radius); }
fn moved(p: vec2i, shift: vec2i) -> vec2i {
  return ${wrapsOf(shader) ? "(p + shift) % work.size" : "p + shift"};
}`;
}

/**
 * Kernel 1, differences: `Σ_c e(e − t_c)`, `e = x_c − a_c`, of pixel `p` and its image under translation, for each
 * pair `k` of an entry and a translation; 0 where the translation leads out of the image.
 *
 * - With `t = 2(q − a)` this is the squared difference to the query `q`, up to a number that is the same for all pairs
 *   (`data_box.ts`).
 * - Layout: one thread per pair and pixel.
 * - Memory: writes `[count, height, width]` floats.
 *
 * @param shader What the text depends on.
 * @returns The shader.
 */
export function differenceShader(shader: WindowShader): string {
  return /* wgsl */ `
${WORK}
${INDEX}
${data(shader)}
@group(0) @binding(4) var<storage, read> query: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> differences: array<f32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let at = indexOf(group, thread);
  let pixels = u32(work.size.x * work.size.y);
  if (at >= work.count * pixels) { return; }
  let pixel = at % pixels;
  let pair = work.first + at / pixels;
  let p = vec2i(i32(pixel) / work.size.y, i32(pixel) % work.size.y);
  let m = moved(p, shifts[pair % work.shifts]);
  var sum = 0.0;
  if (all((m >= vec2i()) & (m < work.size))) {
    let row = entries[pair / work.shifts].row;
    let place = u32(m.x * work.size.y + m.y) * ${shader.channels}u;
    for (var c = 0u; c < ${shader.channels}u; c++) {
      let compared = query[pixel * ${shader.channels}u + c];
      let e = number(row, place + c) - compared.x;
      sum = fma(e, e - compared.y, sum);
    }
  }
  differences[at] = sum;
}`;
}

/** The sum over a window along one axis: `axis` 0 for rows, 1 for columns. */
function windowLoop(shader: WindowShader, axis: 0 | 1, term: string): string {
  const member = axis === 0 ? "x" : "y";
  const wraps = wrapsOf(shader);
  return /* wgsl */ `
  for (var t = 0; t < work.extent.${member}; t++) {
    ${
    wraps
      ? `let v = (p.${member} - work.before.${member} + t + work.size.${member}) % work.size.${member};`
      : `let v = p.${member} - work.before.${member} + t;
    if (v < 0 || v >= work.size.${member}) { continue; }`
  }
    sum += ${term};
  }`;
}

/**
 * Kernel 2, sums along rows: `h[k, p] = Σ e[k, p + o]` over the columns of a window. The terms are added directly: a
 * difference of longer sums would cancel at low noise.
 *
 * - Layout: one thread per pair and pixel.
 *
 * @param shader What the text depends on.
 * @returns The shader.
 */
export function rowSumShader(shader: WindowShader): string {
  return /* wgsl */ `
${WORK}
${INDEX}
@group(0) @binding(0) var<storage, read> differences: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<uniform> work: Work;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let at = indexOf(group, thread);
  let pixels = u32(work.size.x * work.size.y);
  if (at >= work.count * pixels) { return; }
  let pixel = at % pixels;
  let p = vec2i(i32(pixel) / work.size.y, i32(pixel) % work.size.y);
  let row = at - u32(p.y);
  var sum = 0.0;
  ${windowLoop(shader, 1, "differences[row + u32(v)]")}
  sums[at] = sum;
}`;
}

/** Whether the patch at the translated place competes for pixel `p`. */
const COMPETES: Record<Translations, string> = {
  none: "true",
  circular: "true",
  interior: "all(inside(moved(p, shift)))",
  border: "all((shift == vec2i()) | (inside(p) & inside(p + shift)))",
};

/**
 * Kernel 3, weights: the streaming softmax of each pixel over the pairs of a chunk.
 *
 * - Algorithm: sums along columns give the distances `d`, which are kept, and their least; then weights
 *   `w = exp(−(d − m)·rate)` relative to the running least `m`, `Z = Σ w`, `Y = Σ w x`.
 * - Layout: one thread per pixel and split; a split takes every 16th pair.
 * - Memory: distances `[count, height, width]`, each written and read by one thread.
 * - State: `states[split, pixel]` = `m`, `Z`, `Y` channel by channel, stored units; `m` starts as 3e38.
 * - Error: relative rounding of a distance times about the square root of the number of terms that meet in one sum.
 *
 * @param shader What the text depends on.
 * @returns The shader.
 */
export function windowWeightShader(shader: WindowShader): string {
  const { channels, translations } = shader;
  return /* wgsl */ `
${WORK}
${data(shader)}
${DECAY}
@group(0) @binding(4) var<storage, read> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> distances: array<f32>;
@group(0) @binding(6) var<storage, read_write> states: array<f32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let place = group.x * ${WORKGROUP}u + thread;
  let split = group.y;
  let asked = u32(work.area.x * work.area.y);
  if (place >= asked) { return; }
  let p = work.corner + vec2i(i32(place) / work.area.y, i32(place) % work.area.y);
  let pixels = u32(work.size.x * work.size.y);
  let pixel = u32(p.x * work.size.y + p.y);
  let at = (split * asked + place) * ${2 + channels}u;
  let before = states[at];
  var least = before;
  for (var k = split; k < work.count; k += ${SPLITS}u) {
    let pair = work.first + k;
    let shift = shifts[pair % work.shifts];
    var sum = ${NO_DISTANCE};
    if (${COMPETES[translations]}) {
      sum = entries[pair / work.shifts].energy;
      let column = k * pixels + u32(p.y);
      ${windowLoop(shader, 0, "sums[column + u32(v * work.size.y)]")}
      least = min(least, sum);
    }
    distances[k * pixels + pixel] = sum;
  }
  if (least >= ${NO_DISTANCE}) { return; }
  var z = 0.0;
  var y = array<f32, ${channels}>();
  for (var k = split; k < work.count; k += ${SPLITS}u) {
    let d = distances[k * pixels + pixel];
    if (d >= ${NO_DISTANCE}) { continue; }
    let w = decay((d - least) * work.rate);
    if (w == 0.0) { continue; }
    let pair = work.first + k;
    let m = moved(p, shifts[pair % work.shifts]);
    let start = u32(m.x * work.size.y + m.y) * ${channels}u;
    let row = entries[pair / work.shifts].row;
    z += w;
    for (var c = 0u; c < ${channels}u; c++) { y[c] = fma(w, number(row, start + c), y[c]); }
  }
  let factor = select(decay((before - least) * work.rate), 0.0, before >= ${NO_DISTANCE});
  states[at] = least;
  states[at + 1u] = fma(states[at + 1u], factor, z);
  for (var c = 0u; c < ${channels}u; c++) {
    states[at + 2u + c] = fma(states[at + 2u + c], factor, y[c]);
  }
}`;
}
