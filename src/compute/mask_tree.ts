/**
 * Sums over the columns of a mask with few additions: each column from the one most like it.
 *
 * Neighbouring coordinates have nearly the same columns. In a minimum spanning tree of the columns by
 * Hamming distance, with the empty column as the root, a column's sum is that of its parent plus the
 * entries that come in and minus those that go out: as many additions in all as the tree weighs, some
 * 2 to 90 times fewer than the mask has ones (CIFAR-10, at noise levels 0.01 to 60). With integers the
 * order of the additions does not matter.
 *
 * @module
 */
import type { Mask } from "./mask.ts";
import { ones } from "./mask.ts";

/** Stands for no slot. */
const NO_SLOT = 0xffff;
/** 16-bit words in front of the entries of each column: slots to begin from and to keep the sum in, entries in and out, output. */
const STEP_WORDS = 5;

/**
 * The columns in an order in which parents come before their children, as a program of 16-bit words.
 *
 * Per column: the slot whose sum it begins with (or {@linkcode NO_SLOT}: the sum of the column before
 * it), the slot to keep its sum in, how many entries come in, how many go out, its output coordinate;
 * then the coordinates of those entries. Slot 0 holds the sum of the empty column.
 */
export interface TreeProgram {
  /** The words. */
  readonly words: Uint16Array;
  /** The number of slots. */
  readonly slots: number;
  /** The columns of the mask in the order of the program. */
  readonly order: Uint32Array;
  /** The weight of the tree: additions per item. */
  readonly weight: number;
  /** The most ones in a column. */
  readonly largest: number;
}

/** The largest dimension a program can have. */
export const MOST_COORDINATES = 0xffff;

/**
 * The parents of the columns in a minimum spanning tree, by Prim's algorithm in plain loops.
 *
 * @param mask The mask.
 * @returns For each column the number of its parent, −1 for the empty column.
 */
export function referenceParents({ bits, words, outputs }: Mask): Int32Array {
  const columns = outputs.length;
  const parents = new Int32Array(columns).fill(-1);
  const distances = new Float64Array(columns);
  const done = new Uint8Array(columns);
  const distance = (a: number, b: number) => {
    let sum = 0;
    for (let w = 0; w < words; w++) {
      sum += ones(bits[a * words + w] ^ (b < 0 ? 0 : bits[b * words + w]));
    }
    return sum;
  };
  for (let m = 0; m < columns; m++) distances[m] = distance(m, -1);
  for (let step = 0; step < columns; step++) {
    let next = -1, least = Infinity;
    for (let m = 0; m < columns; m++) {
      if (!done[m] && distances[m] < least) [next, least] = [m, distances[m]];
    }
    done[next] = 1;
    for (let m = 0; m < columns; m++) {
      const d = done[m] ? Infinity : distance(m, next);
      if (d < distances[m]) [distances[m], parents[m]] = [d, next];
    }
  }
  return parents;
}

/**
 * Turns a tree of columns into a program.
 *
 * @param mask The mask; at most {@linkcode MOST_COORDINATES} coordinates.
 * @param parents The parent of each column, −1 for the empty column.
 * @returns The program.
 */
export function treeProgram(mask: Mask, parents: Int32Array): TreeProgram {
  const columns = parents.length;
  const children = childrenOf(parents);
  const words: number[] = [];
  const order = new Uint32Array(columns);
  const slotOf = new Int32Array(columns + 1).fill(NO_SLOT);
  slotOf[columns] = 0;
  const free: number[] = [];
  let slots = 1, weight = 0, largest = 0, done = 0;
  // Columns to come, the next one last; the root is the column after the last.
  const stack = children[columns].toReversed();
  while (stack.length > 0) {
    const m = stack.pop()!;
    const parent = parents[m] < 0 ? columns : parents[m];
    const siblings = children[parent];
    // The first child of a column follows it at once, and takes its sum from there.
    const from = parent !== columns && m === siblings[0] ? NO_SLOT : slotOf[parent];
    if (m === siblings.at(-1) && parent !== columns && siblings.length > 1) {
      free.push(slotOf[parent]);
    }
    if (children[m].length > 1) slotOf[m] = free.pop() ?? slots++;
    const { entering, leaving, size } = difference(mask, m, parents[m]);
    words.push(from, slotOf[m], entering.length, leaving.length, mask.outputs[m]);
    for (const n of entering) words.push(n);
    for (const n of leaving) words.push(n);
    order[done++] = m;
    weight += entering.length + leaving.length;
    largest = Math.max(largest, size);
    for (let i = children[m].length; i-- > 0;) stack.push(children[m][i]);
  }
  return { words: Uint16Array.from(words), slots, order, weight, largest };
}

/**
 * The children of each column and, last, of the root; the one whose own subtree keeps the most sums
 * alive comes last, so that few slots are needed: at most log₂ of the number of columns.
 */
function childrenOf(parents: Int32Array): number[][] {
  const columns = parents.length;
  const children: number[][] = Array.from({ length: columns + 1 }, () => []);
  parents.forEach((parent, m) => children[parent < 0 ? columns : parent].push(m));
  const order = [columns];
  for (let i = 0; i < order.length; i++) order.push(...children[order[i]]);
  const slots = new Uint32Array(columns + 1);
  for (const v of order.reverse()) {
    children[v].sort((a, b) => slots[a] - slots[b] || a - b);
    const last = children[v].at(-1), before = children[v].at(-2);
    slots[v] = Math.max(
      last === undefined ? 0 : slots[last],
      before === undefined ? 0 : slots[before] + 1,
    );
  }
  return children;
}

/** The coordinates that column `m` has and its parent has not, the other way round, and the ones of column `m`. */
function difference({ bits, words }: Mask, m: number, parent: number) {
  const entering: number[] = [], leaving: number[] = [];
  let size = 0;
  for (let w = 0; w < words; w++) {
    const own = bits[m * words + w], other = parent < 0 ? 0 : bits[parent * words + w];
    size += ones(own);
    for (let word = own ^ other; word !== 0; word &= word - 1) {
      const bit = word & -word;
      (own & bit ? entering : leaving).push((w << 5) + 31 - Math.clz32(bit));
    }
  }
  return { entering, leaving, size };
}

/**
 * The sums over all columns of a program, in float64.
 *
 * @param program The program.
 * @param entries One number per coordinate.
 * @returns One sum per column, in the order of the program.
 */
export function columnSums(program: TreeProgram, entries: Float64Array): Float64Array {
  const { words, slots, order } = program;
  const kept = new Float64Array(slots);
  const sums = new Float64Array(order.length);
  let at = 0, sum = 0;
  for (let i = 0; i < sums.length; i++) {
    const from = words[at], to = words[at + 1];
    if (from !== NO_SLOT) sum = kept[from];
    const entering = at + STEP_WORDS, leaving = entering + words[at + 2];
    at = leaving + words[at + 3];
    for (let e = entering; e < leaving; e++) sum += entries[words[e]];
    for (let e = leaving; e < at; e++) sum -= entries[words[e]];
    if (to !== NO_SLOT) kept[to] = sum;
    sums[i] = sum;
  }
  return sums;
}
