/**
 * The WGSL kernel of the masked posterior, as a pure function from a plan to text.
 *
 * @module
 */
import { type PosteriorPlan, WORKGROUP } from "../posterior_plan.ts";

/** Rows whose sums one thread keeps in registers. */
export const TILE = 16;
/** An energy that no row has. */
export const NO_ENERGY = 3e38;

/**
 * The masked posterior of some rows: `E(i, m) = Σₙ G[n, m] T(i, n) + wᵢ`, a streaming softmax of `−h E` per column.
 *
 * - Entries: `T(i, n) = e(e − t)` with `e = xᵢ[n] − a[n]`, `t = 2(q − a)`: squared differences but for a number that is
 *   the same for all rows (`data_box.ts`).
 * - Layout: one thread per column, work-groups `(⌈columns/64⌉, jobs)`. A job is a range of listed rows of
 *   one query. For 16 rows and 64 coordinates at a time the work-group puts T into its memory; then
 *   each thread adds the entries that its 64 bits of the mask name.
 * - Memory: 4 KiB of work-group memory; a row is read once per 64 columns.
 * - State: `states[job, column]` = least energy, `Z`, `Y` in stored units relative to it, of all dispatches so far.
 * - Error: sums of up to 64 entries, then of those; so float32 rounding of an energy times about 8 in the root mean square.
 *
 * @param plan The plan of the store.
 * @returns The shader.
 */
export function maskedShader(plan: PosteriorPlan): string {
  const data = plan.bytes
    ? `@group(0) @binding(0) var<storage, read> data: array<u32>;
fn load(at: u32) -> vec4f { return vec4f(unpack4xU8(data[at])); }`
    : `@group(0) @binding(0) var<storage, read> data: array<vec4f>;
fn load(at: u32) -> vec4f { return data[at]; }`;
  return /* wgsl */ `
struct Entry { row: u32, energy: f32 }
struct Job { first: u32, last: u32, query: u32, state: u32 }
struct Work { columns: u32, words: u32, vectors: u32, rate: f32 }
${data}
@group(0) @binding(1) var<storage, read> queries: array<vec4f>; // a, then t
@group(0) @binding(2) var<storage, read> entries: array<Entry>;
@group(0) @binding(3) var<storage, read> jobs: array<Job>;
@group(0) @binding(4) var<storage, read> mask: array<u32>;
@group(0) @binding(5) var<storage, read> outputs: array<u32>;
@group(0) @binding(6) var<storage, read_write> states: array<vec4f>;
@group(0) @binding(7) var<uniform> work: Work;
var<workgroup> tile: array<array<vec4f, ${TILE / 4}>, 64>;

fn row(place: u32, last: u32) -> u32 { return entries[min(place, last - 1u)].row; }

// The entries of four rows in four coordinates.
fn fill(first: u32, last: u32, query: u32, vector: u32, thread: u32) {
  let group = thread / 16u;
  let c = vector + thread % 16u;
  var t = mat4x4f();
  if (c < work.vectors) {
    let a = queries[2u * query * work.vectors + c];
    let slope = queries[(2u * query + 1u) * work.vectors + c];
    for (var i = 0u; i < 4u; i++) {
      let e = load(row(first + 4u * group + i, last) * work.vectors + c) - a;
      t[i] = e * (e - slope);
    }
  }
  t = transpose(t);
  for (var i = 0u; i < 4u; i++) { tile[4u * (thread % 16u) + i][group] = t[i]; }
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let job = jobs[group.y];
  // Threads beyond the last column repeat it, so that all meet at the barriers.
  let column = min(group.x * ${WORKGROUP}u + thread, work.columns - 1u);
  let output = outputs[column];
  let at = job.state * work.columns + column;
  var state = states[at];
  for (var first = job.first; first < job.last; first += ${TILE}u) {
    var energy = array<vec4f, ${TILE / 4}>();
    for (var w = 0u; w < work.words; w += 2u) {
      workgroupBarrier();
      fill(first, job.last, job.query, 8u * w, thread);
      workgroupBarrier();
      var sum = array<vec4f, ${TILE / 4}>();
      for (var half = 0u; half < 2u; half++) {
        let bits = mask[column * work.words + w + half];
        if (bits == 0u) { continue; }
        for (var b = 0u; b < 32u; b++) {
          let on = vec4f(f32((bits >> b) & 1u));
          for (var g = 0u; g < ${TILE / 4}u; g++) {
            sum[g] = fma(on, tile[32u * half + b][g], sum[g]);
          }
        }
      }
      for (var g = 0u; g < ${TILE / 4}u; g++) { energy[g] += sum[g]; }
    }
    var least = state.x;
    for (var i = 0u; i < ${TILE}u; i++) {
      let place = first + i;
      let e = select(${NO_ENERGY}, energy[i / 4u][i % 4u] + entries[min(place, job.last - 1u)].energy, place < job.last);
      energy[i / 4u][i % 4u] = e;
      least = min(least, e);
    }
    var z = 0.0;
    var y = 0.0;
    for (var i = 0u; i < ${TILE}u; i++) {
      let weight = exp((least - energy[i / 4u][i % 4u]) * work.rate);
      let x = load(row(first + i, job.last) * work.vectors + output / 4u)[output % 4u];
      z += weight;
      y = fma(weight, x, y);
    }
    let factor = exp((least - state.x) * work.rate);
    state = vec4f(least, fma(state.y, factor, z), fma(state.z, factor, y), 0.0);
  }
  if (group.x * ${WORKGROUP}u + thread < work.columns) { states[at] = state; }
}`;
}
