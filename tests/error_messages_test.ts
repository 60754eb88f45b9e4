/** How every error of the sources is worded: attempted action, value received, value wanted. */
import { fromFileUrl, join } from "@std/path";
import assert from "node:assert/strict";

const ROOT = fromFileUrl(new URL("../src", import.meta.url));

function sources(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name, isDirectory }) => {
    const path = join(folder, name);
    return isDirectory ? sources(path) : path.endsWith(".ts") ? [path] : [];
  }).flat().sort();
}

/** The text of an expression, with `…` for what is computed; nothing if no part of it is literal. */
function template(node: Deno.lint.Node | undefined): string | undefined {
  if (node?.type === "Literal") return String(node.value);
  if (node?.type === "TemplateLiteral") return node.quasis.map(({ cooked }) => cooked).join("…");
  if (node?.type === "ConditionalExpression") return template(node.consequent);
  if (node?.type === "BinaryExpression" && node.operator === "+") {
    return `${template(node.left as Deno.lint.Node) ?? "…"}${template(node.right) ?? "…"}`;
  }
  return undefined;
}

/** What is wrong with the message of an error, in a few words. */
function faultOf(kind: string, message: string): string | undefined {
  // What begins with a variable begins with an action, or is the message of another error.
  if (!/^(?:Cannot |…)/.test(message)) return "begins with no attempted action";
  if (!/: ./.test(message) && !message.startsWith("…")) return "tells nothing of what was received";
  if (!/\bwanted\b|; see --help$/.test(message) && /^(?:Type|Range|Usage)/.test(kind)) {
    // Where the message of another error is passed on, that one tells it.
    if (!/^…|: …/.test(message)) return "tells nothing of what is wanted";
  }
  if (/[.!]$/.test(message)) return "ends with a full stop";
  if (/n[’']t\b|\b(?:it|that|there|let)[’']s\b|\w[’'](?:re|ve|ll)\b/.test(message)) {
    return "holds a contraction";
  }
  if (/[≤≥]/.test(message)) return "holds a sign that is written >= or <= elsewhere";
  if (/\b(?:please|invalid|must|should|illegal|bad)\b/i.test(message)) return "scolds";
  return undefined;
}

/** Finds errors that are worded otherwise. */
const plugin: Deno.lint.Plugin = {
  name: "style",
  rules: {
    errors: {
      create: (context) => ({
        CallExpression(node) {
          if (
            node.callee.type === "Identifier" && /^[A-Z]\w*Error$|^Error$/.test(node.callee.name)
          ) {
            context.report({ node, message: "is called without new" });
          }
        },
        NewExpression(node) {
          if (node.callee.type !== "Identifier") return;
          const kind = node.callee.name;
          if (kind === "Error") context.report({ node, message: "is a bare Error" });
          // Their messages are put together by the class.
          if (!/\wError$/.test(kind) || ["DatasetError", "WriteError"].includes(kind)) return;
          const message = template(node.arguments[0] as Deno.lint.Node);
          const fault = message === undefined ? undefined : faultOf(kind, message);
          if (fault) context.report({ node, message: `${fault}: ${message}` });
        },
      }),
    },
  },
};

const faults = (file: string, source: string) =>
  Deno.lint.runPlugin(plugin, file, source).map(({ message }) => message);

Deno.test("every error tells what was attempted, received and wanted", () => {
  const found = sources(ROOT).flatMap((file) =>
    faults(file, Deno.readTextFileSync(file)).map((fault) => `${file.slice(ROOT.length)}: ${fault}`)
  );
  assert.deepEqual(found, []);
});

Deno.test("errors that are worded otherwise are found", () => {
  const wrong = {
    'new Error("x")': /bare/,
    'RangeError("Cannot do: n is 1, wanted 2")': /without new/,
    'new RangeError("n must be 2")': /no attempted action/,
    'new RangeError("Cannot do")': /received/,
    "new TypeError(`Cannot do: n is ${n}`)": /wanted/,
    'new RangeError("Cannot do: n is 1, wanted 2.")': /full stop/,
    'new RangeError("Cannot do: n isn\'t 1, wanted 2")': /contraction/,
    'new RangeError("Cannot do: n is 1, wanted n ≥ 2")': />=/,
    'new RangeError("Cannot do: n is invalid, wanted 2")': /scolds/,
  };
  for (const [code, expected] of Object.entries(wrong)) {
    const [fault, ...more] = faults("x.ts", `throw ${code};`);
    assert.match(fault ?? "", expected, code);
    assert.deepEqual(more, [], code);
  }
  assert.deepEqual(faults("x.ts", "throw new RangeError(`Cannot do: n is ${n}, wanted 2`);"), []);
});
