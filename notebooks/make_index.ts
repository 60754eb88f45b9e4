/**
 * The index of the notebooks, with a picture of each from its own outputs.
 *
 * ```sh
 * deno task notebooks:index
 * ```
 *
 * @module
 */
import { fromFileUrl, join } from "@std/path";

/** What the index says of a notebook. */
interface Entry {
  /** What is asked and what is seen. */
  readonly text: string;
  /** Which of its figures is shown, counted from 0. */
  readonly figure: number;
  /** What the figure shows, in words. */
  readonly alt: string;
}

// In the order of their numbers. Figures tell no times, so that they are the same whenever they are made.
const ENTRIES: readonly Entry[] = [
  {
    text: "What does the formula do on the way from noise to a sample? It averages all data at first, " +
      "then fewer and fewer, and at last it copies one.",
    figure: 4,
    alt: "Eleven noise levels from left to right. Above, noise out of which a turquoise triangle appears; below, the " +
      "denoiser's guess: a grey blur, a ring in the mist, then that triangle.",
  },
  {
    text: "How wrong is a mean over a subset, and how can that be known without reading the rest? " +
      "Bounds from the gaps of the logits, beside the true error.",
    figure: 1,
    alt: "Error of 200 of 4,096 pictures over falling noise, from 0.3 down to 1e-12, below four dashed bounds, of which " +
      "the tightest runs within a factor of about ten.",
  },
  {
    text: "What do the analytic denoisers make of the same noise? The exact one copies, the Wiener filter blurs, " +
      "local ones recombine.",
    figure: 2,
    alt: "A grid of pictures, one column per noise and one row per denoiser: clean shapes of the exact one, noisy blobs " +
      "of others.",
  },
  {
    text: "What does one more digit cost, in evaluations and in waiting? High orders pay for accuracy, " +
      "collocation for waiting.",
    figure: 2,
    alt: "Median error over sequential calls on two logarithmic axes: UniPC and Picard fall slowly, collocation " +
      "steeply, below 1e-11 with fewer than 100 calls.",
  },
  {
    text: "How does a sample become new? By smoothing: its ends are means of a few neighbours. " +
      "How near they come to the circle, and how many are still copies, are two questions.",
    figure: 3,
    alt: "Left, the distance to the circle over the bandwidth, with a least value near 0.2; right, the memorised share, " +
      "which falls all the way, the faster the more draws.",
  },
  {
    text: "Does that work on a surface known by 200 points, and on images? On the surface it wins about a third of what " +
      "there is to win; images become double exposures.",
    figure: 2,
    alt: "Handwritten digits in two rows: blends of two digits above, the nearest training digit below each.",
  },
  {
    text: "How long is the flow of the data that of their Gaussian, and what is saved by taking that part at once? " +
      "Down to the size of the data; a third to half of the evaluations.",
    figure: 1,
    alt: "Two rows of ten pictures from high to low noise: the Gaussian's flow above stays a blur, the flow of the data " +
      "below turns into a disc; the first five look alike.",
  },
  {
    text: "Which formula is nearest to a trained network, and when? One Gaussian at low noise, ten of them in " +
      "the middle; and in training the Gaussian comes first.",
    figure: 2,
    alt: "What three formulas leave unexplained of a network over the noise level: a Gaussian least below 0.1, ten " +
      "Gaussians between 0.2 and 2, all the same above 10.",
  },
];

interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly outputs?: readonly { readonly data?: Readonly<Record<string, string | readonly string[]>> }[];
}

const FOLDER = fromFileUrl(new URL(".", import.meta.url));

/** The files of the index by their names in the folder. */
export async function indexFiles(): Promise<Map<string, Uint8Array>> {
  const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name)
    .filter((name) => name.endsWith(".ipynb")).sort();
  if (names.length !== ENTRIES.length) {
    throw new RangeError(
      `Cannot make the index: found ${names.length} notebooks, wanted an entry for each, there are ${ENTRIES.length}`,
    );
  }
  const files = new Map<string, Uint8Array>();
  const parts = [
    "# The notebooks\n\nEach asks one question and answers it with what can be seen. They are executed in CI; " +
    "to run one, `deno task kernel`, then open it. This page is made by `deno task notebooks:index`.\n",
  ];
  for (const [i, name] of names.entries()) {
    const { text, figure, alt } = ENTRIES[i];
    const { cells }: { cells: Cell[] } = JSON.parse(await Deno.readTextFile(join(FOLDER, name)));
    const [suffix, picture] = figuresOf(cells)[figure];
    const file = `pictures/${name.slice(0, 2)}.${suffix}`;
    files.set(file, picture);
    const title = textOf(cells[0].source).match(/^# (.+)$/m)![1];
    parts.push(`## ${i + 1}. [${title}](${name})\n\n${text}\n\n![${alt}](${file})\n`);
  }
  files.set("README.md", new TextEncoder().encode(parts.join("\n")));
  return files;
}

/** The charts and pictures of a notebook, in their order. */
function figuresOf(cells: readonly Cell[]): ["svg" | "png", Uint8Array][] {
  const figures: ["svg" | "png", Uint8Array][] = [];
  for (const { data = {} } of cells.flatMap(({ outputs = [] }) => outputs)) {
    const svg = data["image/svg+xml"], png = data["image/png"];
    if (svg) figures.push(["svg", new TextEncoder().encode(textOf(svg))]);
    else if (png) figures.push(["png", Uint8Array.fromBase64(textOf(png))]);
  }
  return figures;
}

function textOf(lines: string | readonly string[]): string {
  return [lines].flat().join("");
}

if (import.meta.main) {
  for (const [name, bytes] of await indexFiles()) await Deno.writeFile(join(FOLDER, name), bytes);
}
