/** What a network is made of, but for its weights. */
interface Described {
  readonly network: { readonly config: unknown };
  readonly preconditioning: { readonly config: unknown };
  readonly step: number;
  readonly data: string;
}

/** What names a network, as text: for files, and for telling whether two are the same. */
export function describe(
  { network, preconditioning, step, data }: Described,
): Record<"network" | "preconditioning" | "step" | "data", string> {
  return {
    network: JSON.stringify(network.config),
    preconditioning: JSON.stringify(preconditioning.config),
    step: String(step),
    data,
  };
}
