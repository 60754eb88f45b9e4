/**
 * How things show themselves as the last value of a notebook cell: lower layers mark them, the notebook draws them.
 *
 * @module
 */

/** What Deno's kernel asks the last value of a cell for. */
const DISPLAY = Symbol.for("Jupyter.display");

type Bundle = Readonly<Record<string, unknown>>;

let draw = (thing: object): Promise<Bundle> =>
  Promise.resolve({ "text/plain": Deno.inspect(thing) });

/** Says how what is marked is drawn. */
export function drawMarkedBy(bundleOf: (thing: object) => Promise<Bundle>): void {
  draw = bundleOf;
}

/** Marks a thing, or a prototype; as data it stays what it was. */
export function showsItself<T extends object>(thing: T): T {
  return Object.defineProperty(thing, DISPLAY, {
    value(this: object) {
      return draw(this);
    },
    // Another version of this package may mark the same tensors.
    configurable: true,
  });
}
