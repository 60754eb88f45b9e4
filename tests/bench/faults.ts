/**
 * The tests of faults, with more kills and steps, as a table: tried, survived, errors seen.
 *
 * `deno task bench:faults [MOMENTS] [STEPS]`: kills of each writer, sampler steps of each data set.
 */
import { fromFileUrl } from "@std/path";
import type { FaultRow } from "../_helpers/fault_table.ts";

const [MOMENTS = "100", STEPS = "100000"] = Deno.args;
/** Different messages that are printed of a fault. */
const MOST_SEEN = 3;

const table = await Deno.makeTempFile();
const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--quiet", "tests/faults", "tests/cli/output_test.ts"],
  cwd: fromFileUrl(new URL("../..", import.meta.url)),
  env: { FAULT_TABLE: table, FAULT_MOMENTS: MOMENTS, FAULT_STEPS: STEPS, NO_COLOR: "1" },
}).output();
const lines = (await Deno.readTextFile(table)).trim().split("\n");
await Deno.remove(table);

const faults = Map.groupBy(lines.map((line): FaultRow => JSON.parse(line)), ({ fault }) => fault);
print("fault", "tried", "survived", "errors");
for (const [fault, rows] of faults) {
  const sum = (name: "tried" | "survived") => rows.reduce((n, row) => n + row[name], 0);
  const seen = new Map<string, number>();
  for (const [line, n] of rows.flatMap((row) => Object.entries(row.seen))) {
    seen.set(line, (seen.get(line) ?? 0) + n);
  }
  const errors = [...seen.values()].reduce((a, b) => a + b, 0);
  print(fault, ...[sum("tried"), sum("survived"), errors].map((n) => n.toLocaleString("en")));
  const remarks = rows.flatMap(({ remark }) => remark ?? []);
  const most = [...seen].sort((a, b) => b[1] - a[1]);
  const told = most.slice(0, MOST_SEEN).map(([line, n]) => n > 1 ? `${n} × ${line}` : line);
  if (most.length > MOST_SEEN) told.push(`and ${most.length - MOST_SEEN} more`);
  for (const line of [...remarks, ...told]) console.log(`    ${line}`);
}
if (!success) {
  console.error(new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  Deno.exit(1);
}

function print(fault: string, ...cells: readonly string[]): void {
  console.log(fault.padEnd(60) + cells.map((cell) => cell.padStart(10)).join(""));
}
