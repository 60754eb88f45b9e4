// Kernels for the posterior over listed rows, in AssemblyScript; `deno task wasm subset` compiles them.
//
// Work comes as jobs, each some listed rows of one query, so that the rows of a single query keep all threads busy:
//   query    address of the query; for weightedSum() not used
//   rows     address of the listed rows, u32
//   count    how many
//   out      address of the result
//   weights  address of float32 weights; for measure() not used
//
// measure(): squared distances in stored units, float64, one per listed row. To float32 rows by direct differences in
// float64. To rows of signed bytes v in integer arithmetic, with the query as two digits of 16 bits,
//   q = s1 h + s2 l + rest,  |rest| <= s2 / 2 per number,
// so that d = |q|^2 + |v|^2 - 2 s1 <h,v> - 2 s2 <l,v>; all three sums are exact, and d is off by at most
// s2 |v|_1 and the rounding of four float64 terms. A query is |q|^2, s1, s2, unused (float64), then h, then l (int16);
// for float32 rows it is `stride` float64.
//
// weightedSum(): `stride` float32, the sum of weights times rows, in the order of the list, four rows at a time. Of floats the centre
// is taken off, so that no offset of the data enters the sum; the differences are exact.

// u32 numbers per job.
const JOB: usize = 8;
// |v h| <= 2^7 2^15; two of them per 32-bit lane and step, so 2^23 * 128 steps = 2^30.
const BLOCK_DOT: usize = 1024;

// @ts-ignore: decorator
@inline function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

// Exact: each lane is below 2^31.
// @ts-ignore: decorator
@inline function sum4i(v: v128): f64 {
  return <f64>i32x4.extract_lane(v, 0) + <f64>i32x4.extract_lane(v, 1) +
    (<f64>i32x4.extract_lane(v, 2) + <f64>i32x4.extract_lane(v, 3));
}

function byteSquare(row: usize, query: usize, stride: usize): f64 {
  const high = query + 32, low = high + (stride << 1);
  let hs: f64 = 0, ls: f64 = 0, vs: f64 = 0;
  for (let from: usize = 0; from < stride; from += BLOCK_DOT) {
    let h = i32x4.splat(0), l = h, v = h;
    const end = row + min(stride, from + BLOCK_DOT);
    let p = high + (from << 1), q = low + (from << 1);
    for (let r = row + from; r < end; r += 8, p += 16, q += 16) {
      const x = v128.load8x8_s(r);
      h = i32x4.add(h, i32x4.dot_i16x8_s(v128.load(p), x));
      l = i32x4.add(l, i32x4.dot_i16x8_s(v128.load(q), x));
      v = i32x4.add(v, i32x4.dot_i16x8_s(x, x));
    }
    hs += sum4i(h);
    ls += sum4i(l);
    vs += sum4i(v);
  }
  return load<f64>(query) + vs - 2 * (load<f64>(query, 8) * hs + load<f64>(query, 16) * ls);
}

function floatSquare(row: usize, query: usize, stride: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0;
  for (let c: usize = 0; c < stride; c += 4) {
    const x = v128.load(row + (c << 2)), q = query + (c << 3);
    const d0 = f64x2.sub(v128.load(q), f64x2.promote_low_f32x4(x));
    const d1 = f64x2.sub(v128.load(q, 16), f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)));
    s0 = f64x2.add(s0, f64x2.mul(d0, d0));
    s1 = f64x2.add(s1, f64x2.mul(d1, d1));
  }
  const s = f64x2.add(s0, s1);
  return f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
}

// Measures the distances of the jobs at `jobs`.
export function measure(bytes: i32, data: usize, rowBytes: usize, stride: usize, jobs: usize, count: usize, _centre: usize): void {
  for (let job = jobs; job < jobs + count * JOB * 4; job += JOB * 4) {
    const query: usize = load<u32>(job), rows: usize = load<u32>(job, 4), out: usize = load<u32>(job, 12);
    const n: usize = load<u32>(job, 8);
    for (let i: usize = 0; i < n; i++) {
      const row = data + <usize>load<u32>(rows + (i << 2)) * rowBytes;
      const square = bytes ? byteSquare(row, query, stride) : floatSquare(row, query, stride);
      // A distance of two equal points may come out as a tiny negative number.
      store<f64>(out + (i << 3), max(0, square));
    }
  }
}

// @ts-ignore: decorator
@inline function low4<T>(at: usize): v128 {
  if (sizeof<T>() == 1) {
    return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at))));
  }
  return v128.load(at);
}

// @ts-ignore: decorator
@inline function less<T>(x: v128, centre: v128): v128 {
  return isFloat<T>() ? f32x4.sub(x, centre) : x;
}

// out += four weights times four rows.
function addRows<T>(rows: usize, n: usize, centre: usize, data: usize, rowBytes: usize, weights: usize, out: usize, stride: usize): void {
  for (let i: usize = 0; i < n; i += 4) {
    // Missing rows are the last one with weight 0.
    const i1 = min(i + 1, n - 1), i2 = min(i + 2, n - 1), i3 = min(i + 3, n - 1);
    let r0 = data + <usize>load<u32>(rows + (i << 2)) * rowBytes, r1 = data + <usize>load<u32>(rows + (i1 << 2)) * rowBytes;
    let r2 = data + <usize>load<u32>(rows + (i2 << 2)) * rowBytes, r3 = data + <usize>load<u32>(rows + (i3 << 2)) * rowBytes;
    const w0 = v128.load32_splat(weights + (i << 2));
    const w1 = i1 == i + 1 ? v128.load32_splat(weights + (i1 << 2)) : f32x4.splat(0);
    const w2 = i2 == i + 2 ? v128.load32_splat(weights + (i2 << 2)) : f32x4.splat(0);
    const w3 = i3 == i + 3 ? v128.load32_splat(weights + (i3 << 2)) : f32x4.splat(0);
    const step = 4 * sizeof<T>(), end = out + (stride << 2);
    for (let y = out, c = centre; y < end; y += 16, c += 16) {
      const m = isFloat<T>() ? v128.load(c) : f32x4.splat(0);
      let sum = v128.load(y);
      sum = madd(w0, less<T>(low4<T>(r0), m), sum);
      sum = madd(w1, less<T>(low4<T>(r1), m), sum);
      sum = madd(w2, less<T>(low4<T>(r2), m), sum);
      sum = madd(w3, less<T>(low4<T>(r3), m), sum);
      v128.store(y, sum);
      r0 += step;
      r1 += step;
      r2 += step;
      r3 += step;
    }
  }
}

// Sums the rows of the jobs at `jobs`.
export function weightedSum(bytes: i32, data: usize, rowBytes: usize, stride: usize, jobs: usize, count: usize, centre: usize): void {
  for (let job = jobs; job < jobs + count * JOB * 4; job += JOB * 4) {
    const rows: usize = load<u32>(job, 4), n: usize = load<u32>(job, 8), out: usize = load<u32>(job, 12);
    const weights: usize = load<u32>(job, 16);
    memory.fill(out, 0, stride << 2);
    if (bytes) addRows<u8>(rows, n, centre, data, rowBytes, weights, out, stride);
    else addRows<f32>(rows, n, centre, data, rowBytes, weights, out, stride);
  }
}

// Where the module's own constants end: data may lie from here on.
export function heapBase(): usize {
  return __heap_base;
}
