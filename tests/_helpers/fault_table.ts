/** What tests of faults tell of them, for the table that `deno task bench:faults` prints. */

/** How often a fault was caused, how often all went as promised, and the errors that were seen, each with its number. */
export interface FaultRow {
  readonly fault: string;
  readonly tried: number;
  readonly survived: number;
  readonly seen: Readonly<Record<string, number>>;
  /** What else there is to say. */
  readonly remark?: string;
}

/** A number that the bench sets higher than the tests do. */
export function countOf(name: "FAULT_MOMENTS" | "FAULT_STEPS", usual: number): number {
  return Number(Deno.env.get(name) ?? usual);
}

/** Adds to the table, if one is made. */
export function tell(row: FaultRow): void {
  const file = Deno.env.get("FAULT_TABLE");
  if (file) Deno.writeTextFileSync(file, JSON.stringify(row) + "\n", { append: true });
}

/** Tries a fault once; it counts as survived if `body`, which returns the error seen, does not throw. */
export async function trial(
  fault: string,
  body: () => Promise<Error | string | void>,
): Promise<void> {
  let error: Error | string | void;
  try {
    error = await body();
  } catch (broken) {
    tell({ fault, tried: 1, survived: 0, seen: { [`broken: ${lineOf(broken as Error)}`]: 1 } });
    throw broken;
  }
  tell({ fault, tried: 1, survived: 1, seen: error ? { [lineOf(error)]: 1 } : {} });
}

/** An error in one line, without folders, which differ from time to time. */
function lineOf(error: Error | string): string {
  const text = typeof error === "string" ? error : `${error.name}: ${error.message}`;
  return text.trim().replaceAll(/\s+/g, " ").replaceAll(/(?<=\s)\/\S*\/(?=\S)/g, "");
}
