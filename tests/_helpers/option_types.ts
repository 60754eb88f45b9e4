/** Which exported functions and methods take options, and which: read from the documentation, so that none is forgotten. */
import type { Declaration, Entry, Parameter, Type } from "./documentation.ts";

/** A function, constructor or method with options. */
export interface OptionsTaker {
  /** Its name: `moons`, `new CertifiedSearch`, `Denoiser.denoise`. */
  readonly name: string;
  /** The interface or class that it is a method of. */
  readonly owner?: string;
  /** The place of the options among its parameters. */
  readonly at: number;
  /** The options that exist. */
  readonly options: readonly string[];
}

interface Member {
  readonly name: string;
  readonly optional: boolean;
}

/** The types of a package, for questions about options. */
export class OptionTypes {
  readonly #declared = new Map<string, Declaration[]>();

  constructor(entries: readonly Entry[]) {
    for (const { name, declarations } of entries.flatMap(({ symbols }) => symbols)) {
      const own = declarations.filter(({ kind }) => kind !== "reference");
      if (own.length > 0) this.#declared.set(name, own);
    }
  }

  /** Everything that takes options. */
  takers(): OptionsTaker[] {
    return [...this.#declared].flatMap(([name, declarations]) =>
      declarations.flatMap(({ kind, def }) => {
        if (kind === "function") return this.#takers(name, def.params);
        if (kind !== "class" && kind !== "interface") return [];
        return [
          ...(def.constructors ?? []).flatMap(({ params }) => this.#takers(`new ${name}`, params)),
          ...(def.methods ?? []).flatMap((method) =>
            this.#takers(
              `${name}.${method.name}`,
              method.params ?? method.functionDef.params,
              name,
            )
          ),
        ];
      })
    );
  }

  /** The functions whose result, be it later, has a method as an interface declares it: by their names. */
  makersOf(owner: string, method: string): string[] {
    return [...this.#declared].filter(([, declarations]) =>
      declarations.some(({ kind, def }) => {
        if (kind !== "function" || !def.returnType) return false;
        const { returnType } = def;
        const given = returnType.repr === "Promise" ? returnType.value.typeParams![0] : returnType;
        // A narrower interface may declare it again, with more options.
        const declaring = this.#ancestors(given).find((name) =>
          this.#interfaceOf(name)?.def.methods?.some(({ name }) => name === method)
        );
        return declaring === owner;
      })
    ).map(([name]) => name);
  }

  /** The interfaces that a type is of, itself first. */
  #ancestors({ kind, value }: Type): string[] {
    if (kind !== "typeRef") return [];
    const name = value.typeName as string;
    const extended = this.#interfaceOf(name)?.def.extends ?? [];
    return [name, ...extended.flatMap((type) => this.#ancestors(type))];
  }

  #interfaceOf(name: string): Declaration | undefined {
    return this.#declared.get(name)?.find(({ kind }) => kind === "interface");
  }

  #takers(name: string, params: readonly Parameter[], owner?: string): OptionsTaker[] {
    return params.flatMap((parameter, at) => {
      const inner = parameter.left ?? parameter;
      const type = inner.tsType ?? parameter.tsType;
      const members = type && this.#members(type);
      if (!members?.length) return [];
      // What has to be there is data; unless it is called an option.
      const isOptions = inner.name === "options" || /Options$/.test(type?.repr ?? "") ||
        members.every(({ optional }) => optional);
      const options = members.map((member) => member.name);
      return isOptions ? [{ name, owner, at, options }] : [];
    });
  }

  /** The members of an object type; undefined of others. */
  #members({ kind, value }: Type): Member[] | undefined {
    if (kind === "typeLiteral") return value.properties;
    if (kind === "intersection") return union((value as Type[]).map((type) => this.#members(type)));
    if (kind !== "typeRef") return undefined;
    const [of, names] = (value.typeParams ?? []) as [Type, Type];
    switch (value.typeName) {
      case "Partial":
        return this.#members(of)?.map(({ name }) => ({ name, optional: true }));
      case "Pick":
        return this.#members(of)?.filter(({ name }) => literals(names).includes(name));
      case "Omit":
        return this.#members(of)?.filter(({ name }) => !literals(names).includes(name));
    }
    const def = this.#interfaceOf(value.typeName)?.def;
    if (!def || def.methods?.length) return undefined;
    const inherited = (def.extends ?? []).map((type) => this.#members(type));
    return union([def.properties as Member[] ?? [], ...inherited]);
  }
}

function literals({ kind, value }: Type): string[] {
  if (kind === "union") return (value as Type[]).flatMap(literals);
  return kind === "literal" ? [value.string] : [];
}

/** All members, each once; undefined if something has none that are known. */
function union(parts: readonly (Member[] | undefined)[]): Member[] | undefined {
  if (parts.includes(undefined)) return undefined;
  return [
    ...new Map(parts.flatMap((part) => part!).map((member) => [member.name, member])).values(),
  ];
}
