/** Every exported function and method with options: one that is misspelt is refused, and the right one named. */
import * as library from "./_helpers/all_entries.ts";
import type { Device } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { testDevices } from "./_helpers/devices.ts";
import { documentation } from "./_helpers/documentation.ts";
import { CALLS, METHODS, MORE, openParts } from "./_helpers/option_calls.ts";
import { OptionTypes } from "./_helpers/option_types.ts";
import type { OptionsTaker } from "./_helpers/option_types.ts";

const types = new OptionTypes(await documentation());
// No function gives a caller access to subsets: wrappers have it among themselves.
const TAKERS = types.takers().filter(({ owner }) => owner !== "SubsetAccess");
const DEVICES = await testDevices();

const methodOf = ({ name }: OptionsTaker) => name.split(".")[1];
const makersOf = (taker: OptionsTaker) => types.makersOf(taker.owner!, methodOf(taker));

type Call = (...args: unknown[]) => unknown;

/** The exported function or constructor of a name. */
function callOf(name: string): Call {
  // deno-lint-ignore no-explicit-any -- by names that only the test knows
  const all = library as any;
  if (!name.startsWith("new ")) return all[name];
  return (...args) => new all[name.slice(4)](...args);
}

/** What a call throws, now, later, or when its first value is asked for. */
async function errorOf(call: Call, args: readonly unknown[]): Promise<unknown> {
  try {
    // deno-lint-ignore no-explicit-any -- a promise, a generator or neither
    const result = await call(...await Promise.all(args)) as any;
    if (typeof result?.next === "function") await result.next();
  } catch (error) {
    return error;
  }
}

/** An option with a letter too many. */
const misspelt = (option: string) => `${option.slice(0, 2)}${option.slice(1)}`;

/** What is wrong with calls, one line each. */
async function faultsOf(checks: readonly (() => Promise<void>)[]): Promise<string[]> {
  const faults: string[] = [];
  for (const check of checks) await check().catch((error) => void faults.push(String(error)));
  return faults;
}

/** Fails unless a call refuses options that do not exist, in any place where one that does might stand. */
async function assertRefuses(
  { name, at, options }: OptionsTaker,
  call: Call,
  args: readonly unknown[],
): Promise<void> {
  const demanded = args[at] as Record<string, unknown> | undefined;
  const attempt = (given: unknown) =>
    errorOf(call, [...args.slice(0, at), ...Array(at).slice(args.length), given]);
  const refuses = async (given: unknown, wanted: RegExp) => {
    const error = await attempt(given);
    assert.ok(error instanceof TypeError, `${name}(${JSON.stringify(given)}): ${error}`);
    assert.ok(wanted.test(error.message), `${name}: ${error.message}, not ${wanted}`);
  };
  for (const option of options.filter(({ length }) => length > 2)) {
    const wrong = misspelt(option);
    const message = `^Cannot .+: there is no option ${wrong}, wanted ${option}$`;
    await refuses({ ...demanded, [wrong]: 1 }, RegExp(message));
  }
  const unlike = await attempt({ ...demanded, zzzzzz: 1 });
  const [, listed] = /there is no option zzzzzz, wanted one of (.*)$/.exec(String(unlike)) ??
    assert.fail(`${name}: ${unlike}`);
  assert.deepEqual(listed.split(", ").sort(), [...options].sort(), name);
  await refuses(null, /^Cannot .+: options is null, wanted an object of /);
  await refuses(3, /^Cannot .+: options is 3, wanted an object of /);
  await refuses(Promise.resolve(demanded ?? {}).then, /options is the function then/);
}

Deno.test("what takes options is known, and its arguments too", () => {
  assert.ok(TAKERS.length > 140, `${TAKERS.length} functions and methods with options`);
  const owned = TAKERS.filter(({ owner }) => owner);
  const made = owned.flatMap(makersOf);
  const functions = TAKERS.filter(({ owner }) => !owner).map(({ name }) => name);
  const unknown = [...functions, ...made].filter((name) => !Object.hasOwn(CALLS, name));
  assert.deepEqual(unknown, [], "functions without arguments in option_calls.ts");
  const methods = owned.map(methodOf).filter((name) => !Object.hasOwn(METHODS, name));
  assert.deepEqual(methods, [], "methods without arguments in option_calls.ts");
  const idle = Object.keys(CALLS).filter((name) => ![...functions, ...made].includes(name));
  assert.deepEqual(idle, [], "arguments of nothing");
  const unmade = owned.filter((taker) => makersOf(taker).length === 0)
    .filter(({ owner }) => !Object.hasOwn(MORE, owner!));
  assert.deepEqual(unmade, [], "interfaces without objects in option_calls.ts");
});

Deno.test("every function with options refuses one that does not exist, and names the nearest", async () => {
  await using parts = await openParts();
  const functions = TAKERS.filter(({ owner }) => !owner);
  const checks = functions.map((taker) => () =>
    assertRefuses(taker, callOf(taker.name), CALLS[taker.name](parts))
  );
  assert.deepEqual(await faultsOf(checks), []);
});

Deno.test("every method with options refuses one that does not exist, whoever made the object", async () => {
  await using parts = await openParts();
  using resources = new DisposableStack();
  const devices: Device[] = [];
  for (const { skip, open } of DEVICES) if (!skip) devices.push(resources.use(await open()));
  const checks: (() => Promise<void>)[] = [];
  for (const taker of TAKERS.filter(({ owner }) => owner)) {
    const made = await Promise.all(
      makersOf(taker).map(async (name) =>
        await callOf(name)(...await Promise.all(CALLS[name](parts)))
      ),
    );
    const more = await MORE[taker.owner!]?.(parts, devices) ?? [];
    const method = methodOf(taker);
    // Some may be missing: a denoiser need not know facts, a store of streamed data no masks.
    const having = ([...made, ...more] as Record<string, Call>[]).filter((object) =>
      object[method]
    );
    assert.ok(having.length > 0, taker.name);
    checks.push(...having.map((object) => () =>
      assertRefuses(
        { ...taker, name: `${taker.name} of ${object.label ?? object.name ?? object.kind}` },
        (...args) => object[method](...args),
        METHODS[method](object, parts),
      )
    ));
  }
  assert.ok(checks.length > 90, `${checks.length} methods of objects`);
  assert.deepEqual(await faultsOf(checks), []);
});
