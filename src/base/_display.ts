/**
 * How things show themselves as the last value of a notebook cell: lower layers mark them, the notebook draws them.
 *
 * @module
 */

/** What Deno's kernel asks the last value of a cell for. */
const DISPLAY = Symbol.for("Jupyter.display");

type Bundle = Readonly<Record<string, unknown>>;

/** Images in rows, with words above and beside them. */
export interface LabelledImages {
  /** The images, row by row, `[n, …shape]`. */
  readonly images: ArrayLike<number>;
  /** The shape of one image. */
  readonly shape: readonly number[];
  /** The numbers drawn black and white. */
  readonly range: readonly [number, number];
  /** Images per row. */
  readonly columns: number;
  /** Words beside each row. */
  readonly rowLabels?: readonly string[];
  /** Words above each column. */
  readonly columnLabels?: readonly string[];
}

let draw = (thing: object): Promise<Bundle> =>
  Promise.resolve({ "text/plain": Deno.inspect(thing) });

const PARTS = new WeakMap<object, () => readonly unknown[]>();

/** Says how what is marked is drawn. */
export function drawMarkedBy(bundleOf: (thing: object) => Promise<Bundle>): void {
  draw = bundleOf;
}

/**
 * Marks a thing, or a prototype; as data it stays what it was.
 *
 * @param thing The thing.
 * @param parts What is shown in its place: text, tables, charts, {@linkcode LabelledImages}. Default: the thing.
 * @returns The thing.
 */
export function showsItself<T extends object>(thing: T, parts?: () => readonly unknown[]): T {
  if (parts) PARTS.set(thing, parts);
  return Object.defineProperty(thing, DISPLAY, {
    value(this: object) {
      return draw(this);
    },
    // Another version of this package may mark the same tensors.
    configurable: true,
  });
}

/** What is shown in the place of a thing, if it is something else. */
export function shownFor(thing: unknown): readonly unknown[] | undefined {
  return typeof thing === "object" && thing !== null ? PARTS.get(thing)?.() : undefined;
}
