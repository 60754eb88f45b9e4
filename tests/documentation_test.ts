/** What `deno doc` shows of each entry: nothing lacks its description, parameters, result, errors or example. */
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";
import { documentation, ENTRIES } from "./_helpers/documentation.ts";
import type { JsDoc, Parameter, Signature, Tag } from "./_helpers/documentation.ts";

const ROOT = fromFileUrl(new URL("..", import.meta.url));
const { exports: EXPORTED } = JSON.parse(Deno.readTextFileSync(join(ROOT, "deno.json"))) as {
  exports: Record<string, string>;
};

const notebooks = () =>
  Array.from(Deno.readDirSync(join(ROOT, "notebooks")), ({ name }) => `notebooks/${name}`)
    .filter((name) => name.endsWith(".ipynb"));
const wordsOf = (text: string) => new Set(text.match(/[A-Za-z_]\w*/g));

const entries = await documentation();
// A reference repeats what is documented where it comes from.
const EXPORTS = entries.flatMap(({ symbols }) =>
  symbols.flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) => kind !== "reference")
      .map((declared) => ({ name, ...declared }))
  )
);

const tagsOf = (jsDoc: JsDoc | undefined, kind: string): Tag[] =>
  jsDoc?.tags?.filter((tag) => tag.kind === kind) ?? [];

/** The name of a parameter; one that is taken apart in the signature has none. */
function parameterName({ name, left, arg }: Parameter): string | undefined {
  const inner = left ?? arg;
  return name ?? (inner && parameterName(inner));
}

/** What is missing about parameters. */
function undocumented(params: readonly Parameter[], jsDoc: JsDoc | undefined): string[] {
  const tags = tagsOf(jsDoc, "param");
  return params.flatMap((parameter, i) => {
    const name = parameterName(parameter);
    const tag = name === undefined ? tags[i] : tags.find((tag) => tag.name === name);
    return tag?.doc ? [] : [`parameter ${name ?? i + 1}`];
  }).concat(tags.length > params.length ? ["more parameters than there are"] : []);
}

/** Whether a function gives nothing back, be it later. */
function returnsNothing({ returnType }: Signature): boolean {
  return returnType === undefined || returnType.repr === "void" ||
    returnType.repr === "Promise" && returnType.value.typeParams?.[0].repr === "void";
}

Deno.test("every export has a description", () => {
  const bare = EXPORTS.filter(({ jsDoc }) => !jsDoc?.doc?.trim()).map(({ name }) => name);
  assert.deepEqual(bare, []);
  assert.ok(EXPORTS.length > 500, `${EXPORTS.length} exports`);
});

Deno.test("every exported function tells its parameters and its result", () => {
  const missing = EXPORTS.filter(({ kind }) => kind === "function").flatMap(
    ({ name, def, jsDoc }) => [
      ...undocumented(def.params, jsDoc).map((what) => `${name}: ${what}`),
      ...returnsNothing(def) || tagsOf(jsDoc, "return").some(({ doc }) => doc)
        ? []
        : [`${name}: result`],
    ],
  );
  assert.deepEqual(missing, []);
});

/** Types of numbers in rows, whose shape has to be told. */
const NUMBERS =
  /"(?:Samples|Float64Array|Float32Array|ArrayLike|AnyTensor)"|"elem(?:Type)?":.*"number"/;
/** Words that tell a shape. */
const SHAPE = /`[^`]*\[[^`]*`|\b(?:numbers|rows|per|length|shape)\b|`\w` \w+/i;

Deno.test("every exported function tells the shape of the numbers that it takes", () => {
  let told = 0;
  const missing = EXPORTS.filter(({ kind }) => kind === "function").flatMap(
    ({ name, def, jsDoc }) =>
      def.params.flatMap((parameter) => {
        const own = parameterName(parameter);
        const type = JSON.stringify(parameter.tsType ?? parameter.left?.tsType ?? {});
        if (
          own === undefined || !NUMBERS.test(type) || /fnOrConstructor|Denoiser/.test(type)
        ) return [];
        told++;
        const doc = tagsOf(jsDoc, "param").find((tag) => tag.name === own)?.doc ?? "";
        return SHAPE.test(doc) ? [] : [`${name}: ${own}`];
      }),
  );
  assert.deepEqual(missing, []);
  assert.ok(told > 80, `${told} parameters`);
});

Deno.test("every method and constructor of an exported class tells its parameters and its result", () => {
  const missing = EXPORTS.filter(({ kind }) => kind === "class").flatMap(({ name, def }) => [
    ...(def.constructors ?? []).flatMap(({ params, jsDoc }) =>
      undocumented(params, jsDoc).map((what) => `new ${name}: ${what}`)
    ),
    ...(def.methods ?? []).flatMap(({ name: method, functionDef, jsDoc }) => [
      ...undocumented(functionDef.params, jsDoc).map((what) => `${name}.${method}: ${what}`),
      ...returnsNothing(functionDef) || tagsOf(jsDoc, "return").length > 0
        ? []
        : [`${name}.${method}: result`],
    ]),
  ]);
  assert.deepEqual(missing, []);
});

Deno.test("every exported function, class and constant has an example that runs and asserts", () => {
  const missing = EXPORTS.filter(({ kind }) => ["function", "class", "variable"].includes(kind))
    .filter(({ name, jsDoc }) =>
      !tagsOf(jsDoc, "example").some(({ doc = "" }) =>
        /^```ts$/m.test(doc) && /\bassert[.(]/.test(doc) && RegExp(`\\b${name}\\b`).test(doc) &&
        /from "@closedform\/diffusion(?:\/\w+)?"/.test(doc)
      )
    ).map(({ name }) => name);
  assert.deepEqual(missing, []);
});

Deno.test("every error that an exported function throws, itself or by functions of its file, is documented", () => {
  // What takes no parameters gives its own, which are in order; the command line turns errors into exit codes.
  const missing = EXPORTS.filter(({ kind, name, def }) =>
    kind === "function" && name !== "main" && def.params.length > 0
  )
    .flatMap(({ name, jsDoc, location }) => {
      const documented = tagsOf(jsDoc, "throws").map(({ tsType }) => tsType?.repr);
      const functions = functionsOf(fromFileUrl(location.filename));
      return [...thrownBy(name, functions)].filter((error) => !documented.includes(error))
        .map((error) => `${name}: ${error}`);
    });
  assert.deepEqual(missing, []);
});

/** The text of each function of a file, without what it throws later: in functions that it makes, or methods of its result. */
function functionsOf(file: string): Map<string, string> {
  const found = Deno.readTextFileSync(file)
    .matchAll(/^(?:export )?(?:async )?function\*? (\w+)[^]*?^}/gm);
  return new Map(Array.from(found, ([text, name]) => [
    name,
    text.split(/^ {2}return (?:showsItself\()?\{$/m)[0].replaceAll(
      /^ {2}const \w+ = (?:async )?\([^]*?^ {2}};$/gm,
      "",
    ),
  ]));
}

/** The errors that a function throws, directly, through the shared checks of options or functions of its file. */
function thrownBy(
  name: string,
  functions: Map<string, string>,
  seen: Set<string> = new Set(),
): Set<string> {
  seen.add(name);
  const text = functions.get(name) ?? "";
  const thrown = new Set([...text.matchAll(/\bthrow new (\w+)/g)].map(([, error]) => error));
  if (/\bcheck(?:Whole|Positive|OneOf|Limit)\(/.test(text)) thrown.add("RangeError");
  if (/\b(?:readOptions|check(?:Option|Evaluate)\w+)\(/.test(text)) thrown.add("TypeError");
  for (const [, called] of text.matchAll(/(?<![.\w])(\w+)\(/g)) {
    if (!functions.has(called) || seen.has(called)) continue;
    for (const error of thrownBy(called, functions, seen)) thrown.add(error);
  }
  return thrown;
}

Deno.test("every entry begins with what it is for and an example", () => {
  entries.forEach(({ module_doc }, i) => {
    assert.ok(module_doc?.doc, `description of ${ENTRIES[i]}`);
    const shown = module_doc.doc + tagsOf(module_doc, "example").map(({ doc }) => doc).join("\n");
    assert.match(shown, /^```(?:ts|sh)$/m, `example of ${ENTRIES[i]}`);
  });
});

/** The section of the guide in `mod.ts` that tells about a folder or file of `src`. */
const SECTIONS: Readonly<Record<string, string>> = {
  "base/noise.ts": "Samplers",
  "base/progress.ts": "Plots and notebooks",
  "base/random.ts": "Samplers",
  "codecs": "Codecs",
  "comparisons": "Comparisons",
  "compute": "Devices",
  "datasets": "Data",
  "denoisers": "Denoisers",
  "metrics": "Metrics",
  "notebook": "Plots and notebooks",
  "plots": "Plots and notebooks",
  "samplers": "Samplers",
  "states": "Devices",
};

/** The functions, classes and constants of an entry. */
const valuesOf = (entry: string) =>
  entries[ENTRIES.indexOf(entry)].symbols.flatMap(({ name, declarations }) =>
    declarations.filter(({ kind }) => ["function", "class", "variable"].includes(kind))
      .map(({ location }) => ({ name, file: location.filename }))
  );

/** What a guide links, with the sections where it does. */
const linksOf = (entry: string) =>
  (entries[ENTRIES.indexOf(entry)].module_doc?.doc ?? "").split(/^## /m).slice(1)
    .flatMap((section) => {
      const title = section.slice(0, section.indexOf("\n")).trim();
      return [...section.matchAll(/\{@linkcode (\w+)\}/g)].map(([, name]) => ({ title, name }));
    });

Deno.test("the guide of mod.ts links every function, class and constant once, in the section of its layer", () => {
  const linked = linksOf("mod.ts").map(({ title, name }) => `${title}: ${name}`);
  const wanted = valuesOf("mod.ts").map(({ name, file }) => {
    const [, part] = /\/src\/(base\/\w+\.ts|\w+)/.exec(file) ?? assert.fail(file);
    return `${SECTIONS[part] ?? "Everything else"}: ${name}`;
  });
  assert.deepEqual(linked.sort(), [...new Set(wanted)].sort());
});

for (const entry of ["src/theory/mod.ts", "src/training/mod.ts", "src/compute/mod.ts"]) {
  Deno.test(`the guide of ${entry} links every function, class and constant once`, () => {
    const linked = linksOf(entry).map(({ name }) => name);
    assert.deepEqual(linked.sort(), [...new Set(valuesOf(entry).map(({ name }) => name))].sort());
  });
}

/** How many functions, classes and constants an entry has at most. */
const MOST: Readonly<Record<string, number>> = {
  "mod.ts": 145,
  "src/theory/mod.ts": 70,
  "src/training/mod.ts": 35,
  "src/compute/mod.ts": 22,
  "src/browser.ts": 120,
  "src/cli.ts": 1,
};

Deno.test("no entry has more than fits in one's head", async () => {
  for (const [name, path] of Object.entries(EXPORTED)) {
    const entry = path.replace("./", "");
    const { length } = Object.keys(await import(name.replace(".", "@closedform/diffusion")));
    console.log(`${entry}: ${length} functions, classes and constants`);
    assert.ok(length <= MOST[entry], `${length} in ${entry}`);
  }
});

Deno.test("what is exported is mentioned by a guide, a notebook, the README, or the documentation or types of another export", () => {
  const pages = ["README.md", ...notebooks()].map((file) =>
    Deno.readTextFileSync(join(ROOT, file))
  );
  const guides = entries.map(({ module_doc }) => JSON.stringify(module_doc));
  const outside = wordsOf([...pages, ...guides].join("\n"));
  // Where each word occurs in comments and examples: in those of which exports.
  const places = new Map<string, Set<string>>();
  for (const { name, jsDoc, def } of EXPORTS) {
    const text = JSON.stringify([jsDoc, def]);
    for (const word of wordsOf(text)) places.set(word, (places.get(word) ?? new Set()).add(name));
  }
  const unmentioned = [...new Set(EXPORTS.map(({ name }) => name))].filter((name) =>
    !outside.has(name) && [...places.get(name) ?? []].every((place) => place === name)
  );
  assert.deepEqual(unmentioned, []);
});
