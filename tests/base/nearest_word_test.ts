import assert from "node:assert/strict";
import fc from "fast-check";
import { nearestWord } from "../../src/base/_nearest_word.ts";

const OPTIONS = ["seed", "noise", "sigmaMax", "sigmaMin", "tolerance", "k", "order", "theta"];

Deno.test("nearestWord() finds what was meant", () => {
  const meant: [string, string | undefined][] = [
    ["tolerence", "tolerance"],
    ["tol", "tolerance"],
    ["sigma_max", "sigmaMax"],
    ["sigma-min", "sigmaMin"],
    ["SIGMAMAX", "sigmaMax"],
    ["orders", "order"],
    ["odrer", "order"],
    ["thetta", "theta"],
    ["sed", "seed"],
    ["sede", "seed"],
    ["K", "k"],
    // Nothing is near: not another letter, nor a word with as many other letters.
    ["m", undefined],
    ["draws", undefined],
    ["", undefined],
    ["se", undefined],
  ];
  for (const [word, wanted] of meant) assert.equal(nearestWord(word, OPTIONS), wanted, word);
  assert.equal(nearestWord("seed", []), undefined);
});

Deno.test("nearestWord() prefers a slip to a beginning, and the first of equals", () => {
  assert.equal(nearestWord("steps", ["stepsPerFold", "step"]), "step");
  assert.equal(nearestWord("sigmaMix", ["sigmaMax", "sigmaMin"]), "sigmaMax");
});

Deno.test("nearestWord() mends one slip in a long word, whichever it is", () => {
  const slips: ((word: string, at: number) => string)[] = [
    (word, at) => word.slice(0, at) + word.slice(at + 1),
    (word, at) => `${word.slice(0, at)}q${word.slice(at)}`,
    (word, at) => `${word.slice(0, at)}q${word.slice(at + 1)}`,
    (word, at) => word.slice(0, at) + (word[at + 1] ?? "") + word[at] + word.slice(at + 2),
  ];
  fc.assert(fc.property(
    fc.constantFrom(...OPTIONS.filter(({ length }) => length > 3 && length < 6)),
    fc.constantFrom(...slips),
    fc.nat(),
    (word, slip, place) => {
      assert.equal(nearestWord(slip(word, place % word.length), OPTIONS), word);
    },
  ));
});
