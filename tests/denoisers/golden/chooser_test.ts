import assert from "node:assert/strict";
import { scheduledChooser } from "../../../src/denoisers/golden/chooser.ts";
import type { ScheduledSearch, Selection } from "../../../src/denoisers/golden/scheduled_search.ts";

/** What is made of one selection, with a diameter of the data. */
async function choiceOf(selection: Partial<Selection>, unit = 4) {
  const one = { rows: Uint32Array.of(3), logits: Float64Array.of(-1), slack: new Float64Array(1) };
  const found = [{ ...one, gap: 2, ...selection }];
  const search = { find: () => Promise.resolve(found) } as unknown as ScheduledSearch;
  const values = Float32Array.of(0);
  const batch = { x: values, values, sigmas: Float64Array.of(1), samples: [0] };
  const [choice] = await scheduledChooser(search, "test", unit).choose(batch);
  return choice;
}

Deno.test("scheduledChooser() claims what is proven, and an estimate only where nothing is", async () => {
  // A bound beats the estimate of a tail that was not used, which may have missed what it leaves out.
  const proven = await choiceOf({ discarded: 0.25, estimate: 0 });
  assert.deepEqual([proven.captured, proven.bound, proven.gap], [0.75, 1, 2]);
  const estimated = await choiceOf({ discarded: NaN, estimate: 0.125, gap: NaN });
  assert.deepEqual([estimated.captured, estimated.bound], [0.875, Infinity]);
  const unknown = await choiceOf({ discarded: NaN });
  assert.deepEqual([unknown.captured, unknown.bound], [NaN, Infinity]);
  // Without a diameter no share of the mass bounds an error.
  const endless = await choiceOf({ discarded: 0 }, Infinity);
  assert.deepEqual([endless.captured, endless.bound], [1, Infinity]);
});
