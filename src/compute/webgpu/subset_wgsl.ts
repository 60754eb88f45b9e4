/**
 * The WGSL kernels of the posterior over listed rows, as pure functions from a plan to text.
 *
 * @module
 */
import { type PosteriorPlan, WORKGROUP } from "../posterior_plan.ts";

/** Threads that share one distance. */
const LANES = 16;
/** Distances that one work-group takes. */
export const ENTRIES = WORKGROUP / LANES;
/** Vectors that a thread sums in one run, and rows likewise, so that no sum is long. */
const RUN = 16;
/** Parts of a list that are summed separately. */
export const SPLITS = 8;
/** Work-groups along the first axis; further ones go along the second. */
export const ACROSS = 2 ** 15;

function dataBinding(plan: PosteriorPlan): string {
  return plan.bytes
    ? `@group(0) @binding(0) var<storage, read> data: array<u32>;
fn load(at: u32) -> vec4f { return vec4f(unpack4xU8(data[at])); }`
    : `@group(0) @binding(0) var<storage, read> data: array<vec4f>;
fn load(at: u32) -> vec4f { return data[at]; }`;
}

/**
 * Distances to listed rows: `‖q − xᵢ‖² = Σ e(e − t) + ‖q − a‖²` in stored units, with `e = xᵢ − a` (`data_box.ts`): without the last
 * term, which the caller adds in float64.
 *
 * - Layout: an entry is a query and a row of the bound part of the data; 16 threads share one, each sums
 *   every 16th vector in runs of 64 numbers, then a tree in work-group memory. Work-groups
 *   `(2¹⁵, …)` over entries, one pass.
 * - Memory: reads the row and the query of each entry once; 256 bytes of work-group memory.
 * - Output: `distances[entry]`, float32.
 * - Error: relative to `Σ |e(e − t)|` at most `72 + d/1024` roundings, in practice one or two.
 *
 * @param plan The plan of the store.
 * @returns The shader.
 */
export function listedDistanceShader(plan: PosteriorPlan): string {
  return /* wgsl */ `
struct Entry { query: u32, row: u32 }
struct Work { first: u32, count: u32, vectors: u32, unused: u32 }
${dataBinding(plan)}
@group(0) @binding(1) var<storage, read> queries: array<vec4f>; // a, then t
@group(0) @binding(2) var<storage, read> entries: array<Entry>;
@group(0) @binding(3) var<storage, read_write> distances: array<f32>;
@group(0) @binding(4) var<uniform> work: Work;
var<workgroup> partial: array<f32, ${WORKGROUP}>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % ${LANES}u;
  let place = (group.y * ${ACROSS}u + group.x) * ${ENTRIES}u + thread / ${LANES}u;
  // Threads beyond the last entry repeat it, so that all meet at the barriers.
  let entry = entries[work.first + min(place, work.count - 1u)];
  let row = entry.row * work.vectors;
  let point = 2u * entry.query * work.vectors;
  let slope = point + work.vectors;
  var total = 0.0;
  for (var start = lane; start < work.vectors; start += ${RUN * LANES}u) {
    var sum = 0.0;
    let end = min(start + ${RUN * LANES}u, work.vectors);
    for (var c = start; c < end; c += ${LANES}u) {
      let e = load(row + c) - queries[point + c];
      let f = e - queries[slope + c];
      sum = fma(e.w, f.w, fma(e.z, f.z, fma(e.y, f.y, fma(e.x, f.x, sum))));
    }
    total += sum;
  }
  partial[thread] = total;
  for (var half = ${LANES / 2}u; half > 0u; half >>= 1u) {
    workgroupBarrier();
    if (lane < half) { partial[thread] += partial[thread + half]; }
  }
  if (lane == 0u && place < work.count) { distances[work.first + place] = partial[thread]; }
}`;
}

/**
 * Weighted sums of listed rows, added to `sums`.
 *
 * - Layout: one thread per vector of a row; work-groups `(⌈vectors/64⌉, 8, queries)`, each an eighth
 *   of the query's entries in the bound part of the data, in runs of 16 rows; one pass per part.
 * - Memory: reads each listed row once; `sums` is `[8, queries, vectors]` vectors.
 * - Output: `Σ wᵢ (xᵢ − c)` in stored units, with `c` as in the weighted sum over all rows; weights sum to 1 over all parts.
 * - Error: one rounding per row of a run and per run, of sums of the size of the data about `c`.
 *
 * @param plan The plan of the store.
 * @returns The shader.
 */
export function listedSumShader(plan: PosteriorPlan): string {
  return /* wgsl */ `
struct Entry { row: u32, weight: f32 }
struct Work { vectors: u32, unused: u32 }
${dataBinding(plan)}
@group(0) @binding(1) var<storage, read> entries: array<Entry>;
@group(0) @binding(2) var<storage, read> starts: array<u32>; // queries + 1 of them
@group(0) @binding(3) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(4) var<uniform> work: Work;
@group(0) @binding(5) var<storage, read> anchors: array<vec4f>;

@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let column = group.x * ${WORKGROUP}u + thread;
  if (column >= work.vectors) { return; }
  let first = starts[group.z];
  let last = starts[group.z + 1u];
  let step = (last - first + ${SPLITS - 1}u) / ${SPLITS}u;
  let end = min(last, first + (group.y + 1u) * step);
  let anchor = anchors[column];
  var total = vec4f();
  for (var start = first + group.y * step; start < end; start += ${RUN}u) {
    var sum = vec4f();
    for (var i = start; i < min(end, start + ${RUN}u); i++) {
      let x = load(entries[i].row * work.vectors + column) - anchor;
      sum = fma(vec4f(entries[i].weight), x, sum);
    }
    total += sum;
  }
  sums[(group.y * groups.z + group.z) * work.vectors + column] += total;
}`;
}
