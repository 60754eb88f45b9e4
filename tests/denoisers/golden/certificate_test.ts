import { discardedMass, smallestCertified } from "@closedform/diffusion/theory";
import fc from "fast-check";
import assert from "node:assert/strict";
import { logAdd } from "../../../src/denoisers/golden/certificate.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

const logit = fc.double({ min: -60, max: 0, noNaN: true });

Deno.test("smallestCertified() leaves out no more than it says, and one item less would not be certified", () => {
  fc.assert(
    fc.property(
      fc.array(logit, { minLength: 1, maxLength: 40 }),
      fc.array(logit, { maxLength: 20 }),
      fc.double({ min: 1e-12, max: 0.9, noNaN: true }),
      (seen, unseen, most) => {
        const logits = Float64Array.from(seen).sort().reverse();
        const logUnseen = unseen.reduce(logAdd, -Infinity);
        const found = smallestCertified({ logits, logUnseen }, most);
        const share = (k: number) => {
          const weights = (part: Iterable<number>) =>
            [...part].reduce((sum, l) => sum + Math.exp(l), 0);
          const rest = weights(logits.subarray(k)) + weights(unseen);
          return rest / (weights(logits.subarray(0, k)) + rest);
        };
        const enough = seen.map((_, i) => share(i + 1)).findIndex((s) => s <= most) + 1;
        // Ties of the share with the limit are decided by rounding.
        const close = seen.some((_, i) => Math.abs(share(i + 1) - most) < 1e-12 * most);
        if (close) return;
        assert.equal(found?.k ?? 0, enough);
        if (found) {
          assertClose([found.discarded], [share(found.k)], 1e-12 * share(found.k), "share");
        }
      },
    ),
    { seed: 4, numRuns: 500 },
  );
});

Deno.test("smallestCertified() counts errors of logits against the subset", () => {
  const logits = Float64Array.of(0, -8), errors = Float64Array.of(1, 2);
  const { k, discarded } = smallestCertified({ logits, errors, logUnseen: -Infinity }, 0.1)!;
  assert.equal(k, 1);
  assertClose([discarded], [1 / (1 + Math.exp(-1 + 6))], 1e-15, "share");
  assert.equal(smallestCertified({ logits, errors, logUnseen: -Infinity }, 1e-3)!.k, 2);
});

Deno.test("smallestCertified() sees a tail that a running sum from the large end would lose", () => {
  // The head rounds to 1: one minus it would be 0, and fake a certificate.
  const logits = Float64Array.from({ length: 1000 }, (_, i) => i === 0 ? 0 : -45);
  const found = smallestCertified({ logits, logUnseen: -45 }, 1e-17)!;
  assertClose([found.discarded], [(1000 - found.k + 1) * Math.exp(-45)], 1e-30, "share");
  assert.ok(found.k > 600 && found.k < 1000);
});

Deno.test("discardedMass() is 0 without unseen items, 1 against an overwhelming bound", () => {
  assert.equal(discardedMass({ logits: Float64Array.of(-900), logUnseen: -Infinity }), 0);
  assert.equal(discardedMass({ logits: Float64Array.of(-900), logUnseen: 0 }), 1);
  assertClose(
    [discardedMass({ logits: Float64Array.of(0), logUnseen: -700 })],
    [Math.exp(-700)],
    1e-318,
    "mass",
  );
});

Deno.test("certificates refuse what makes no sense", () => {
  const logits = Float64Array.of(0);
  assert.throws(
    () => smallestCertified({ logits: new Float64Array(), logUnseen: 0 }, 0.1),
    RangeError,
  );
  for (const most of [0, 1, NaN]) {
    assert.throws(() => smallestCertified({ logits, logUnseen: 0 }, most), RangeError);
  }
});
