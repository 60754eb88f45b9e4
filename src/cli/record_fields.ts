/**
 * What the fields of a run's record mean: the only place that says it, which `--help record` prints.
 *
 * @module
 */

/**
 * A field, or some of one kind, and what it says: `a.{b,c}` stands for `a.b` and `a.c`, `a[]` for the elements of a list, and
 * `*` for any name.
 */
export type RecordField = readonly [path: string, meaning: string];

const SPREAD = "{min,median,max}";

/** Fields of `run.json` that say what was run. */
export const RECORD_FIELDS: readonly RecordField[] = [
  ["package", "what made the record, and its version"],
  ["date", "when the run ended, in UTC"],
  ["versions.{deno,v8,tfjs}", "of the runtime and of the tensor library"],
  ["arguments.*", "the options as given, paths absolute: what --from repeats"],
  ["options", "what they came to, defaults and the data's choices included: --help record-options"],
  ["inputs.{init,codec}", "SHA-256 of files that were read besides the data"],
  ["data.{name,count,type}", "the items used, how many, and whether uint8 or float32"],
  ["data.{shape,range}[]", "of an item; what is drawn black and white"],
  [
    "data.{streamed,sha256}",
    "whether they stayed on disk; else the SHA-256 of items, shape and range",
  ],
  ["codec.{label,latentDimension}", "the latent space that the run was in"],
  ["device.{kind,description,reason}", "where it ran, and why there"],
  ["denoiser", "the denoiser in words"],
  ["sampler.{name,order}", "the method, a teleport included, and its order of convergence"],
  ["references[]", "papers of denoiser, sampler and codec"],
  ["sigmas[]", "the noise levels of the grid, falling"],
  [
    "start.{scale,atMean,atData}",
    "start states: noise times scale, plus the mean or a random item",
  ],
  ["teleport.{law,sigmaSkip}", "the law whose flow the first leg follows, and where that ends"],
  [
    "teleport.{displacement,displacementPerNumber}",
    "how far from the data's flow that is predicted to be: root mean square of the norm, per number",
  ],
  [
    "teleport.{tolerancePerNumber,integrationError}",
    "what was allowed, and the error of the leg itself",
  ],
  ["teleport.{respaced,stepsSaved,evaluationsSaved}", "what became of the steps above it"],
];

/** Fields of `run.json` that say what came of it. */
export const RESULT_FIELDS: readonly RecordField[] = [
  ["evaluations", "denoiser evaluations per sample, their mean where samples differ"],
  ["calls", "batched denoiser calls, one after the other"],
  [
    `convergence.{evaluations,windows,rejected,sweeps,estimatedError}.${SPREAD}`,
    "over the samples, of a method that adapts its steps",
  ],
  ["convergence.converged", "how many samples met all its criteria"],
  ["seconds", "of the sampling"],
  ["steps[].{step,sigma,seconds,evaluations}", "each step: its number, from which level, its cost"],
  [
    `steps[].posterior.{logNormaliser,topLogit,logitGap,effectiveSampleSize,entropy}.${SPREAD}`,
    "over the samples: facts of the posterior at the start of the step, logarithms in nats; null if infinite",
  ],
  [
    `steps[].posterior.{subsetSize,subsetGap,capturedMass,errorBound,certified}.${SPREAD}`,
    "of golden subsets: items, gap and mass to those left out, bound in data units; null if none is known",
  ],
  [
    "topItem[]",
    "per sample the item that weighs most at the last step, by its place in the whole data set, from 0, whatever --class says",
  ],
  ["topComponent[]", "the same of a mixture: the component, from 0"],
  [
    "promised.{tolerance,all,open}",
    "certified means: error allowed, how many, how many of them without proof",
  ],
  [
    "endEstimate.{probes,otherItem,medianDistance,largestDistance}",
    "runs with errors as large as allowed",
  ],
  [
    "statistics.{coordinates,withoutL,withoutS,uncertain,bounded}",
    "of dpm-v3: coordinates; of them without l, without s, with an uncertain s, with s out of bounds",
  ],
  ["files.*", "SHA-256 of each file that was written beside this one"],
  ["warnings[]", "lines that the run printed as warnings"],
];

/** Fields of `run.json` below `options`. */
export const OPTION_FIELDS: readonly RecordField[] = [
  ["options.{data,class,limit,layout,stream}", "as given: the data"],
  ["options.codec.{kind,rank,path}", "of --codec: pca and its rank, or autoencoder and its file"],
  ["options.denoiser", "the name of the denoiser"],
  ["options.subset.{k,m,proxy,schedule,tail,tiles,tolerance}", "as given, of golden denoisers"],
  ["options.subset.{k,m}[]", "the least and the most of a range"],
  ["options.pixels.{windows,theta}", "as given, of denoisers with weights per pixel"],
  ["options.mixture.{components,rank}", "as given, of mixtures"],
  [
    "options.baseline.{draws,neighbours,concentration,bandwidth}",
    "of baselines; of a kernel the bandwidth chosen",
  ],
  ["options.smoothing.{bandwidth,draws,drawKind,start}", "how the denoiser is smoothed"],
  [
    "options.smoothing.neighbours.{neighbours,others}",
    "nearest and random items that are used instead of all",
  ],
  [
    "options.smoothing.measured.{gap,spacing,dimension,neighbourly}",
    "what the data said: median gap between neighbours, distance to the items around an item, local dimension, share of picks around an item that are among its nearest",
  ],
  ["options.{sampler,samplerTolerance}", "the method that ran, and its tolerance if given"],
  ["options.{grid,steps,start}", "the grid, its steps, and the flow time that it starts at"],
  ["options.{count,seed,init}", "samples, seed, file of start noise"],
  ["options.device", "the device asked for"],
  ["options.{teleport,teleportLaw,teleportTolerance,respace}", "the teleport asked for"],
  [
    "options.{out,trajectory,npz,quiet,json,overwrite}",
    "what was written where, and what was printed",
  ],
];

/** All paths that fields stand for. */
export function recordPaths(fields: readonly RecordField[]): string[] {
  return fields.flatMap(([path]) => expanded(path));
}

function expanded(path: string): string[] {
  const [whole, names] = /\{([^}]*)\}/.exec(path) ?? [];
  return names === undefined
    ? [path]
    : names.split(",").flatMap((name) => expanded(path.replace(whole!, name)));
}
