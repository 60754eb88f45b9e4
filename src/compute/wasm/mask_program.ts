/**
 * The programs that columns of masks are summed by, made by a thread.
 *
 * @module
 */
import { DeviceError } from "../../base/errors.ts";
import type { Mask } from "../mask.ts";
import { MASKED_ACTION } from "../masked_posterior.ts";
import { MOST_COORDINATES, treeProgram } from "../mask_tree.ts";
import type { TreeProgram } from "../mask_tree.ts";
import { allocate, Arena } from "./memory.ts";
import * as masked from "./modules/masked.ts";
import type { ThreadPool } from "./pool.ts";

// The first page belongs to the module's own constants.
const PAGE = 65536;

const programs = new WeakMap<Mask, Promise<TreeProgram>>();

/**
 * The program of a mask, made once.
 *
 * @param mask The mask.
 * @param pool The threads, of which one works.
 * @throws {DeviceError} If the mask has more coordinates than a tree can have.
 */
export async function programOf(mask: Mask, pool: ThreadPool): Promise<TreeProgram> {
  if (mask.dimension > MOST_COORDINATES) {
    throw new DeviceError(
      `Cannot ${MASKED_ACTION}: the mask has ${mask.dimension} coordinates, wanted at most ${MOST_COORDINATES}`,
    );
  }
  let program = programs.get(mask);
  if (!program) {
    program = spanningTree(mask, pool).then((parents) => treeProgram(mask, parents));
    programs.set(mask, program);
    program.catch(() => programs.delete(mask));
  }
  return await program;
}

/**
 * The parents of the columns of a mask in their minimum spanning tree.
 *
 * @param mask The mask.
 * @param pool The threads, of which one works.
 * @returns For each column the number of its parent, −1 for the empty column.
 */
export async function spanningTree(mask: Mask, pool: ThreadPool): Promise<Int32Array> {
  await pool.load("masked", masked);
  const columns = mask.outputs.length;
  const arena = new Arena(PAGE);
  const control = arena.take(8), bits = arena.take(mask.bits.byteLength);
  const parents = arena.take(4 * columns), scratch = arena.take(8 * columns);
  const memory = allocate(arena.end);
  new Uint32Array(memory.buffer, bits, mask.bits.length).set(mask.bits);
  await pool.run({
    module: "masked",
    kernel: "spanningTree",
    memory,
    rows: 1,
    shards: 1,
    control,
    arguments: [bits, mask.words / 2, columns, parents, scratch].map((base) => ({ base })),
  });
  return new Int32Array(memory.buffer, parents, columns).slice();
}
