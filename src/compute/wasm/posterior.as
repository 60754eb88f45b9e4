// The posterior kernel for CPUs, in AssemblyScript; `deno task wasm` compiles it.
//
// What it computes, for each query q and the rows x_i of one shard, in stored
// units (bytes 0..255 or floats):
//   d_i = |q - x_i|^2,  w_i = exp(-(d_i - d_min) g),  g = scale^2 / 2 sigma^2,
//   Z = sum w_i,  Z2 = sum w_i^2,  A = sum w_i log w_i,  Y = sum w_i x_i,
// with a running minimum d_min: the streaming softmax, the state of which
// merges with the states of other shards.
//
// Algorithm: blocks of rows that fit the L2 cache are read twice, first for the
// distances (4 queries x 2 rows in registers, direct differences), then for the
// weighted sums (4 queries x 8 columns in registers); nothing of size
// queries x rows is kept beyond one block.
//
// Precision: a distance is a sum of float32 partial sums over 256 numbers each,
// added in float64; weights and their sums are float64; Y is float32, summed
// over a block from zero and then added. The arithmetic of one query does not
// depend on the others, so a query has the same bits alone and in a batch: a
// weight is either accumulated or exactly 0, and 0 * x adds nothing.
//
// Rows with a weight below exp(-cut) of the running maximum are left out of Y
// (not of Z); the caller chooses the cut so that their total mass is below
// float32 rounding.

// Float64 numbers in the state of one query.
const STATE: usize = 8; // d_min, d_second, index, Z, Z2, A, -, -
const BLOCK_SUM: usize = 256;

// @ts-ignore: decorator
@inline function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

// @ts-ignore: decorator
@inline function load4<T>(at: usize): v128 {
  if (sizeof<T>() == 1) {
    return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(at))));
  }
  return v128.load(at);
}

// @ts-ignore: decorator
@inline function sum4(v: v128): f64 {
  return <f64>f32x4.extract_lane(v, 0) + <f64>f32x4.extract_lane(v, 1) +
    (<f64>f32x4.extract_lane(v, 2) + <f64>f32x4.extract_lane(v, 3));
}

// Distances of 4 queries to 2 rows.
function distances4x2<T>(row: usize, rowBytes: usize, q: usize, stride: usize, out: usize, outStride: usize): void {
  const qb = stride << 2;
  const row1 = row + rowBytes;
  let d00: f64 = 0, d10: f64 = 0, d20: f64 = 0, d30: f64 = 0;
  let d01: f64 = 0, d11: f64 = 0, d21: f64 = 0, d31: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s00 = f32x4.splat(0), s10 = s00, s20 = s00, s30 = s00;
    let s01 = s00, s11 = s00, s21 = s00, s31 = s00;
    let qp = q + (from << 2);
    for (let c = from; c < to; c += 4, qp += 16) {
      const x0 = load4<T>(row + c * sizeof<T>());
      const x1 = load4<T>(row1 + c * sizeof<T>());
      const q0 = v128.load(qp);
      const e00 = f32x4.sub(q0, x0);
      s00 = madd(e00, e00, s00);
      const e01 = f32x4.sub(q0, x1);
      s01 = madd(e01, e01, s01);
      const q1 = v128.load(qp + qb);
      const e10 = f32x4.sub(q1, x0);
      s10 = madd(e10, e10, s10);
      const e11 = f32x4.sub(q1, x1);
      s11 = madd(e11, e11, s11);
      const q2 = v128.load(qp + 2 * qb);
      const e20 = f32x4.sub(q2, x0);
      s20 = madd(e20, e20, s20);
      const e21 = f32x4.sub(q2, x1);
      s21 = madd(e21, e21, s21);
      const q3 = v128.load(qp + 3 * qb);
      const e30 = f32x4.sub(q3, x0);
      s30 = madd(e30, e30, s30);
      const e31 = f32x4.sub(q3, x1);
      s31 = madd(e31, e31, s31);
    }
    d00 += sum4(s00); d10 += sum4(s10); d20 += sum4(s20); d30 += sum4(s30);
    d01 += sum4(s01); d11 += sum4(s11); d21 += sum4(s21); d31 += sum4(s31);
  }
  store<f64>(out, d00); store<f64>(out + 8, d01); out += outStride;
  store<f64>(out, d10); store<f64>(out + 8, d11); out += outStride;
  store<f64>(out, d20); store<f64>(out + 8, d21); out += outStride;
  store<f64>(out, d30); store<f64>(out + 8, d31);
}

// Distance of 1 query to 1 row: the same arithmetic per pair as the blocked form.
function distance1<T>(row: usize, q: usize, stride: usize): f64 {
  let d: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s = f32x4.splat(0);
    for (let c = from; c < to; c += 4) {
      const e = f32x4.sub(v128.load(q + (c << 2)), load4<T>(row + c * sizeof<T>()));
      s = madd(e, e, s);
    }
    d += sum4(s);
  }
  return d;
}

// Distances of 1 query to 2 rows, so that one query keeps two chains of additions busy.
function distances1x2<T>(row: usize, rowBytes: usize, q: usize, stride: usize, out: usize): void {
  const row1 = row + rowBytes;
  let d0: f64 = 0, d1: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_SUM) {
    const to = min(stride, from + BLOCK_SUM);
    let s0 = f32x4.splat(0), s1 = s0;
    for (let c = from; c < to; c += 4) {
      const qv = v128.load(q + (c << 2));
      const e0 = f32x4.sub(qv, load4<T>(row + c * sizeof<T>()));
      s0 = madd(e0, e0, s0);
      const e1 = f32x4.sub(qv, load4<T>(row1 + c * sizeof<T>()));
      s1 = madd(e1, e1, s1);
    }
    d0 += sum4(s0); d1 += sum4(s1);
  }
  store<f64>(out, d0); store<f64>(out + 8, d1);
}

// Replaces the distances of one query to a block of rows by weights (float32), and updates its state and sums.
// Returns whether any weight is not 0.
function weigh(distances: usize, weights: usize, rows: usize, firstRow: usize, g: f64, cut: f64, state: usize, y: usize, stride: usize): bool {
  let least = load<f64>(state), second = load<f64>(state, 8), index = load<f64>(state, 16);
  const before = least;
  for (let r: usize = 0; r < rows; r++) {
    const d = load<f64>(distances + (r << 3));
    if (d < least) {
      second = least;
      least = d;
      index = <f64>(firstRow + r);
    } else if (d < second) second = d;
  }
  let z = load<f64>(state, 24), z2 = load<f64>(state, 32), a = load<f64>(state, 40);
  if (least < before && z > 0) {
    const shift = (least - before) * g;
    const factor = Math.exp(shift);
    a = factor == 0 ? 0 : factor * (a + shift * z);
    z *= factor;
    z2 *= factor * factor;
    const splat = f32x4.splat(<f32>factor);
    for (let c: usize = 0; c < stride << 2; c += 16) v128.store(y + c, f32x4.mul(v128.load(y + c), splat));
  }
  let any = false;
  for (let r: usize = 0; r < rows; r++) {
    const l = (least - load<f64>(distances + (r << 3))) * g;
    let kept: f32 = 0;
    if (l > -700) {
      const w = Math.exp(l);
      z += w;
      z2 += w * w;
      a += w * l;
      if (l > -cut) {
        kept = <f32>w;
        any = true;
      }
    }
    store<f32>(weights + (r << 2), kept);
  }
  store<f64>(state, least); store<f64>(state, second, 8); store<f64>(state, index, 16);
  store<f64>(state, z, 24); store<f64>(state, z2, 32); store<f64>(state, a, 40);
  return any;
}

// Y += weights x rows, for 4 queries.
function accumulate4<T>(row: usize, rowBytes: usize, rows: usize, weights: usize, ws: usize, y: usize, stride: usize): void {
  const yb = stride << 2;
  for (let c: usize = 0; c < stride; c += 8) {
    // The last tile of an odd number of vectors takes its vector twice and stores it once.
    const wide = c + 4 < stride;
    const c1 = wide ? c + 4 : c;
    let a00 = f32x4.splat(0), a01 = a00, a10 = a00, a11 = a00;
    let a20 = a00, a21 = a00, a30 = a00, a31 = a00;
    let at = row;
    for (let r: usize = 0; r < rows; r++, at += rowBytes) {
      const w = weights + (r << 2);
      const w0 = v128.load32_splat(w), w1 = v128.load32_splat(w + ws);
      const w2 = v128.load32_splat(w + 2 * ws), w3 = v128.load32_splat(w + 3 * ws);
      if (!v128.any_true(v128.or(v128.or(w0, w1), v128.or(w2, w3)))) continue;
      const x0 = load4<T>(at + c * sizeof<T>());
      const x1 = load4<T>(at + c1 * sizeof<T>());
      a00 = madd(w0, x0, a00); a01 = madd(w0, x1, a01);
      a10 = madd(w1, x0, a10); a11 = madd(w1, x1, a11);
      a20 = madd(w2, x0, a20); a21 = madd(w2, x1, a21);
      a30 = madd(w3, x0, a30); a31 = madd(w3, x1, a31);
    }
    let p = y + (c << 2);
    add4(p, a00); if (wide) add4(p + 16, a01); p += yb;
    add4(p, a10); if (wide) add4(p + 16, a11); p += yb;
    add4(p, a20); if (wide) add4(p + 16, a21); p += yb;
    add4(p, a30); if (wide) add4(p + 16, a31);
  }
}

// @ts-ignore: decorator
@inline function add4(at: usize, v: v128): void {
  v128.store(at, f32x4.add(v128.load(at), v));
}

// Y += weights x rows, for 1 query: the same order of additions per column.
function accumulate1<T>(row: usize, rowBytes: usize, rows: usize, weights: usize, y: usize, stride: usize): void {
  for (let c: usize = 0; c < stride; c += 16) {
    const c1 = min(c + 4, stride - 4), c2 = min(c + 8, stride - 4), c3 = min(c + 12, stride - 4);
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
    let at = row;
    for (let r: usize = 0; r < rows; r++, at += rowBytes) {
      if (load<f32>(weights + (r << 2)) == 0) continue;
      const w = v128.load32_splat(weights + (r << 2));
      a0 = madd(w, load4<T>(at + c * sizeof<T>()), a0);
      a1 = madd(w, load4<T>(at + c1 * sizeof<T>()), a1);
      a2 = madd(w, load4<T>(at + c2 * sizeof<T>()), a2);
      a3 = madd(w, load4<T>(at + c3 * sizeof<T>()), a3);
    }
    add4(y + (c << 2), a0);
    if (c + 4 < stride) add4(y + ((c + 4) << 2), a1);
    if (c + 8 < stride) add4(y + ((c + 8) << 2), a2);
    if (c + 12 < stride) add4(y + ((c + 12) << 2), a3);
  }
}

function scanRows<T>(data: usize, rows: usize, firstRow: usize, blockRows: usize, stride: usize, queries: usize, batch: usize, parameters: usize, state: usize, y: usize, distances: usize, weights: usize, stop: usize): void {
  const rowBytes = stride * sizeof<T>();
  const qb = stride << 2;
  const ds = blockRows << 3, ws = blockRows << 2;
  for (let from: usize = 0; from < rows; from += blockRows) {
    if (atomic.load<i32>(stop)) return;
    const n = min(blockRows, rows - from);
    const block = data + from * rowBytes;
    for (let q: usize = 0; q < batch; q += 4) {
      const many = min<usize>(4, batch - q);
      let r: usize = 0;
      if (many == 4) {
        for (; r + 1 < n; r += 2) distances4x2<T>(block + r * rowBytes, rowBytes, queries + q * qb, stride, distances + (r << 3), ds);
      } else {
        for (let k: usize = 0; k < many; k++) {
          for (r = 0; r + 1 < n; r += 2) distances1x2<T>(block + r * rowBytes, rowBytes, queries + (q + k) * qb, stride, distances + k * ds + (r << 3));
        }
      }
      if (n & 1) {
        for (let k: usize = 0; k < many; k++) {
          store<f64>(distances + k * ds + ((n - 1) << 3), distance1<T>(block + (n - 1) * rowBytes, queries + (q + k) * qb, stride));
        }
      }
      let any = false;
      for (let k: usize = 0; k < many; k++) {
        const p = parameters + ((q + k) << 4);
        const kept = weigh(distances + k * ds, weights + k * ws, n, firstRow + from, load<f64>(p), load<f64>(p, 8), state + (q + k) * STATE * 8, y + (q + k) * qb, stride);
        any = any || kept;
      }
      if (!any) continue;
      if (many == 4) {
        accumulate4<T>(block, rowBytes, n, weights, ws, y + q * qb, stride);
      } else {
        for (let k: usize = 0; k < many; k++) accumulate1<T>(block, rowBytes, n, weights + k * ws, y + (q + k) * qb, stride);
      }
    }
  }
}

// Scans the rows of one shard for a batch of queries.
//   bytes      1 if the rows are bytes, 0 if float32
//   stride     numbers per row and query, a multiple of 4, the padding being 0 in both
//   parameters per query (g, cut), float64
//   state      per query 8 float64; starts as (inf, inf, 0, 0, 0, 0, 0, 0)
//   y          per query `stride` float32; starts as 0
//   scratch    48 * blockRows bytes
//   stop       an int32 that another thread may set to 1 to end the scan early
export function scan(bytes: i32, data: usize, rows: usize, firstRow: usize, blockRows: usize, stride: usize, queries: usize, batch: usize, parameters: usize, state: usize, y: usize, scratch: usize, stop: usize): void {
  const weights = scratch + blockRows * 32;
  if (bytes) scanRows<u8>(data, rows, firstRow, blockRows, stride, queries, batch, parameters, state, y, scratch, weights, stop);
  else scanRows<f32>(data, rows, firstRow, blockRows, stride, queries, batch, parameters, state, y, scratch, weights, stop);
}

// Where the module's own constants (the tables of exp) end: data may lie from here on.
export function heapBase(): usize {
  return __heap_base;
}
