/**
 * Tensors from files of PyTorch's `torch.save`: a zip archive of a pickle and, beside it, the numbers.
 *
 * A pickle is a program. Of its instructions only those are known that make dictionaries of tensors, and names of functions
 * stay names: nothing is called, whatever the file says.
 */
import { sizeOf } from "../base/_shape.ts";
import { type Interruptible, inTurns } from "../base/_turns.ts";
import { DatasetError } from "../base/errors.ts";
import { rowMajor } from "./_row_major.ts";
import type { ZipArchive, ZipEntry } from "./_zip.ts";
import type { NpyArray } from "./npy.ts";

/** A function or type that the pickle names, `module.name`. */
class Name {
  constructor(readonly path: string) {}
}

/** A tensor as the pickle describes it: a view of numbers in a file of their own. */
class View {
  constructor(
    readonly type: string,
    readonly key: string,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

type Value = undefined | boolean | number | string | Value[] | Map<Value, Value> | Name | View;

const WANTED = "a dictionary of float tensors (or the same arrays as .npz, by numpy.savez)";
const FLOATS: Record<string, Float32ArrayConstructor | Float64ArrayConstructor> = {
  "torch.FloatStorage": Float32Array,
  "torch.DoubleStorage": Float64Array,
};

/** Bytes of a pickle: it holds names and shapes, some hundred bytes per tensor, and each may make an object. */
const MOST_PICKLE = 2 ** 20;

/** The entry of an archive that holds the pickle, if it is one of PyTorch's. */
export function torchPickle(archive: ZipArchive): ZipEntry | undefined {
  return archive.entries.find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
}

/**
 * Reads the tensors of a dictionary that was saved by `torch.save`, of version 1.6 or later.
 *
 * @param archive The file.
 * @param pickle Its pickle.
 * @param keys The names of those that are wanted.
 * @param signal Cancels the reading.
 * @returns The tensors of these names, row-major; what is no tensor is left out.
 */
export async function readTorchFile(
  archive: ZipArchive,
  pickle: ZipEntry,
  keys: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, NpyArray>> {
  const { file } = archive, folder = pickle.name.slice(0, -"data.pkl".length);
  const order = archive.entries.find(({ name }) => name === `${folder}byteorder`);
  if (order && new TextDecoder().decode(await archive.head(order, 8)) !== "little") {
    throw new DatasetError(file, "big-endian numbers", "little-endian ones");
  }
  if (pickle.size > MOST_PICKLE) {
    throw new DatasetError(
      `${file}/${pickle.name}`,
      `${pickle.size.toLocaleString("en")} bytes`,
      `at most ${MOST_PICKLE.toLocaleString("en")} beside the numbers`,
    );
  }
  const top = unpickle(await archive.read(pickle), `${file}/${pickle.name}`);
  if (!(top instanceof Map)) throw new DatasetError(file, "no dictionary", WANTED);
  const tensors = new Map<string, NpyArray>();
  for (const name of keys) {
    const view = top.get(name);
    if (!(view instanceof View)) continue;
    const path = `${folder}data/${view.key}`;
    const entry = archive.entries.find((entry) => entry.name === path);
    if (!entry) throw new DatasetError(file, `no ${path}`, `the numbers of ${name}`);
    checkView(view, entry.size, `${file}/${path}`);
    const bytes = await archive.read(entry, signal);
    tensors.set(name, await inTurns(tensorOf(bytes, view), signal));
  }
  return tensors;
}

/** Fails unless a file of so many bytes holds all numbers of a tensor. */
function checkView({ type, offset, shape, strides }: View, bytes: number, file: string): void {
  const stored = Math.floor(bytes / FLOATS[type].BYTES_PER_ELEMENT), size = sizeOf(shape);
  const last = shape.reduce((at, side, axis) => at + (side - 1) * strides[axis], offset);
  // Not beyond all bounds, nor one number again and again.
  if (!(size <= stored && (size === 0 || last < stored))) {
    throw new DatasetError(file, `${stored} numbers`, `at least ${Math.max(size, last + 1)}`);
  }
}

/** A tensor in the order of its indices: matrices are often stored column by column. */
function* tensorOf(
  bytes: Uint8Array,
  { type, offset, shape, strides }: View,
): Interruptible<NpyArray> {
  const Floats = FLOATS[type], width = Floats.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  const count = Math.floor(bytes.length / width);
  const stored = new Floats(aligned.buffer as ArrayBuffer, aligned.byteOffset, count);
  const data = yield* rowMajor(stored, shape, strides, new Floats(sizeOf(shape)), offset);
  return { data, shape, dtype: Floats === Float32Array ? "f4" : "f8" };
}

/** Runs a pickle of protocol 2, the one of `torch.save`. */
function unpickle(bytes: Uint8Array, file: string): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const refuse = (found: string) => new DatasetError(file, found, WANTED);
  const stack: Value[] = [], marks: number[] = [], memo = new Map<number, Value>();
  let at = 0;
  const take = (size: number): number => {
    if (at + size > bytes.length) throw refuse("an end too early");
    return (at += size) - size;
  };
  const text = (size: number) => {
    const start = take(size);
    return new TextDecoder().decode(bytes.subarray(start, start + size));
  };
  const line = () => {
    const size = bytes.subarray(at).indexOf(0x0A);
    if (size < 0) throw refuse("an end too early");
    return text(size + 1).slice(0, -1);
  };
  const pop = (count: number): Value[] => {
    if (count > stack.length) throw refuse("more taken than was put");
    return stack.splice(stack.length - count);
  };
  const toMark = () => {
    const mark = marks.pop();
    if (mark === undefined || mark > stack.length) throw refuse("more taken than was put");
    return pop(stack.length - mark);
  };
  const recall = (key: number) => {
    if (!memo.has(key)) throw refuse(`nothing kept under ${key}`);
    stack.push(memo.get(key));
  };
  const setItems = (items: Value[]) => {
    const target = stack.at(-1);
    if (!(target instanceof Map)) throw refuse("items of no dictionary");
    for (let i = 0; i + 1 < items.length; i += 2) target.set(items[i], items[i + 1]);
  };
  const instructions: Record<string, () => void> = {
    "\x80": () => void take(1), // the protocol
    "}": () => void stack.push(new Map()),
    ")": () => void stack.push([]),
    "(": () => void marks.push(stack.length),
    "t": () => void stack.push(toMark()),
    "\x85": () => void stack.push(pop(1)),
    "\x86": () => void stack.push(pop(2)),
    "\x87": () => void stack.push(pop(3)),
    "N": () => void stack.push(undefined),
    "\x88": () => void stack.push(true),
    "\x89": () => void stack.push(false),
    "K": () => void stack.push(view.getUint8(take(1))),
    "M": () => void stack.push(view.getUint16(take(2), true)),
    "J": () => void stack.push(view.getInt32(take(4), true)),
    "X": () => void stack.push(text(view.getUint32(take(4), true))),
    "c": () => void stack.push(new Name(`${line()}.${line()}`)),
    "q": () => void memo.set(view.getUint8(take(1)), stack.at(-1)),
    "r": () => void memo.set(view.getUint32(take(4), true), stack.at(-1)),
    "h": () => recall(view.getUint8(take(1))),
    "j": () => recall(view.getUint32(take(4), true)),
    "s": () => setItems(pop(2)),
    "u": () => setItems(toMark()),
    "Q": () => {}, // the numbers of a tensor: what names them is on the stack
    "R": () => {
      const [made, given] = pop(2);
      stack.push(reduce(made, given, refuse));
    },
  };
  for (;;) {
    const code = String.fromCharCode(bytes[take(1)]);
    if (code === ".") return pop(1)[0];
    const run = instructions[code];
    if (!run) throw refuse(`the instruction 0x${code.charCodeAt(0).toString(16)}`);
    run();
  }
}

/** What a call gives, of the two that a dictionary of tensors takes. */
function reduce(made: Value, given: Value, refuse: (found: string) => DatasetError): Value {
  const path = made instanceof Name ? made.path : "no name";
  if (path === "collections.OrderedDict" && Array.isArray(given) && given.length === 0) {
    return new Map();
  }
  if (path !== "torch._utils._rebuild_tensor_v2" || !Array.isArray(given)) {
    throw refuse(`a call of ${path}`);
  }
  const [storage, offset, shape, strides] = given;
  const [kind, type, key] = Array.isArray(storage) ? storage : [];
  const whole = (v: Value): v is number => Number.isInteger(v) && (v as number) >= 0;
  if (kind !== "storage" || !(type instanceof Name) || !(type.path in FLOATS)) {
    throw refuse(`numbers of type ${type instanceof Name ? type.path : "unknown"}`);
  }
  if (
    typeof key !== "string" || !whole(offset) || !Array.isArray(shape) || !shape.every(whole) ||
    !Array.isArray(strides) || !strides.every(whole) || strides.length !== shape.length
  ) {
    throw refuse("a tensor without a shape");
  }
  return new View(type.path, key, offset, shape, strides);
}
