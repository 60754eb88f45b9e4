/** Ten thousand calls of public functions with something wrong. */
import { RandomStream } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { tell } from "../_helpers/fault_table.ts";
import { assertNumbers, callWrong } from "../_helpers/wrong_calls.ts";
import { PUBLIC_CALLS } from "./_public_calls.ts";

const CALLS = 10_000;

Deno.test("public functions answer right arguments with numbers", async () => {
  for (const { name, run, args } of PUBLIC_CALLS) {
    await assert.doesNotReject(async () => await assertNumbers(await run(...args())), name);
  }
});

Deno.test(`public functions refuse or answer each of ${CALLS.toLocaleString("en")} calls that are wrong in one place`, async (t) => {
  const counts = { "refused": 0, "refused by the engine": 0, "answered": 0 };
  const broken: string[] = [];
  for (let i = 0; i < CALLS; i++) {
    const call = PUBLIC_CALLS[i % PUBLIC_CALLS.length];
    const random = new RandomStream({ seed: 3, sample: i, purpose: "theory" });
    try {
      counts[await callWrong(call, random)]++;
    } catch (error) {
      broken.push(`call ${i}: ${(error as Error).message}`);
    }
  }
  const { answered, ...refused } = counts;
  tell({
    fault: "calls of public functions, wrong in one place",
    tried: CALLS,
    survived: CALLS - broken.length,
    seen: refused,
    remark: `${PUBLIC_CALLS.length} functions, ${answered} calls answered rightly`,
  });
  assert.equal(broken.length, 0, `${broken.length} broken promises:\n${broken.join("\n")}`);
  const functions = `${PUBLIC_CALLS.length} functions`;
  const sums = Object.entries(counts).map(([outcome, n]) => `${n} ${outcome}`).join(", ");
  await t.step(`${functions}: ${sums}`, () => {
    // Harmless damage is answered; most is not harmless.
    assert.ok(counts.refused > CALLS / 3 && counts.answered > 100);
  });
});
