/** The documentation of the package as data: what is exported, with its types. */
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));

/** The files of the entry points. */
export const ENTRIES: readonly string[] = Object.values(
  JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json"))).exports as Record<string, string>,
).map((path) => path.replace("./", ""));

/** A tag of a comment, such as `@param`. */
export interface Tag {
  readonly kind: string;
  readonly name?: string;
  readonly doc?: string;
  readonly tsType?: { readonly repr: string };
}

/** A comment. */
export interface JsDoc {
  readonly doc?: string;
  readonly tags?: readonly Tag[];
}

/** A type. */
export interface Type {
  readonly repr: string;
  readonly kind?: string;
  // deno-lint-ignore no-explicit-any -- of a shape that depends on the kind
  readonly value?: any;
}

/** A parameter of a function. */
export interface Parameter {
  readonly kind: string;
  readonly tsType?: Type;
  readonly name?: string;
  readonly left?: Parameter;
  readonly arg?: Parameter;
}

/** The result of a function. */
export interface ReturnType extends Type {
  readonly value: { readonly typeName?: string; readonly typeParams?: readonly ReturnType[] };
}

/** Parameters and result of a function. */
export interface Signature {
  readonly params: readonly Parameter[];
  readonly returnType?: ReturnType;
}

/** A method. */
export interface Method {
  readonly name: string;
  readonly jsDoc?: JsDoc;
  /** What it takes and gives, of a class. */
  readonly functionDef: Signature;
  /** What it takes, of an interface. */
  readonly params?: readonly Parameter[];
}

/** A constructor. */
export interface Constructor {
  readonly jsDoc?: JsDoc;
  readonly params: readonly Parameter[];
}

/** A property of an interface. */
export interface Property {
  readonly name: string;
  readonly optional: boolean;
  readonly tsType?: Type;
}

/** What is exported under a name. */
export interface Declaration {
  readonly kind: string;
  readonly jsDoc?: JsDoc;
  readonly location: { readonly filename: string; readonly line: number };
  readonly def: Signature & {
    readonly constructors?: readonly Constructor[];
    readonly methods?: readonly Method[];
    readonly properties?: readonly Property[];
    readonly extends?: readonly Type[];
    readonly tsType?: Type;
  };
}

/** An entry point. */
export interface Entry {
  readonly module_doc?: JsDoc;
  readonly symbols: readonly { name: string; declarations: readonly Declaration[] }[];
}

/** The documentation of each entry, in the order of {@linkcode ENTRIES}. */
export async function documentation(): Promise<Entry[]> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...ENTRIES],
    cwd: ROOT,
    stderr: "piped",
  });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
    nodes: Record<string, Entry>;
  };
  return ENTRIES.map((path) =>
    Object.entries(nodes).find(([url]) => url.endsWith(`/${path}`))?.[1] ?? assert.fail(path)
  );
}
