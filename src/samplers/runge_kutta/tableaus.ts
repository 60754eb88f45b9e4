/**
 * Coefficients of explicit Runge–Kutta methods.
 *
 * @module
 */

/** An explicit Runge–Kutta method. */
export interface Tableau {
  /** Its order. */
  readonly order: number;
  /** The weights `a_{ij}` of the stages after the first, row by row, each as long as there are earlier stages. */
  readonly stages: readonly (readonly number[])[];
  /** The weights `bⱼ` of the step. */
  readonly weights: readonly number[];
}

/** A method that also estimates its error. */
export interface EmbeddedTableau extends Tableau {
  /** Weights of error estimates: one, or for DOP853 those of order 5 and 3. */
  readonly errors: readonly (readonly number[])[];
  /** The order of the estimate, `q`: the error falls as the step to the power `q + 1`. */
  readonly errorOrder: number;
  /** Whether the last stage is the step itself, so that its slope is known. */
  readonly firstSameAsLast: boolean;
}

/** Where a stage is within its step, `c_i = Σⱼ a_{ij}`. */
export function nodeOf(stage: readonly number[]): number {
  return stage.reduce((sum, a) => sum + a, 0);
}

/** The classical method of order four. */
export const RK4: Tableau = {
  order: 4,
  stages: [[1 / 2], [0, 1 / 2], [0, 0, 1]],
  weights: [1 / 6, 1 / 3, 1 / 3, 1 / 6],
};

const DORMAND_PRINCE = [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84];

/** The method of Dormand and Prince, order 5 with an estimate of order 4. */
export const DOPRI5: EmbeddedTableau = {
  order: 5,
  stages: [
    [1 / 5],
    [3 / 40, 9 / 40],
    [44 / 45, -56 / 15, 32 / 9],
    [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
    [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
    DORMAND_PRINCE,
  ],
  weights: DORMAND_PRINCE,
  errors: [[-71 / 57600, 0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40]],
  errorOrder: 4,
  firstSameAsLast: true,
};

/** Numbers from entries `[index from 1, value]`, zeros elsewhere. */
function sparse(length: number, ...entries: readonly (readonly [number, number])[]): number[] {
  const row = new Array<number>(length).fill(0);
  for (const [index, value] of entries) row[index - 1] = value;
  return row;
}

const B853 = sparse(
  12,
  [1, 0.054293734116568765],
  [6, 4.450312892752409],
  [7, 1.8915178993145003],
  [8, -5.801203960010585],
  [9, 0.3111643669578199],
  [10, -0.1521609496625161],
  [11, 0.20136540080403034],
  [12, 0.04471061572777259],
);

/** The method of Hairer, Nørsett and Wanner, order 8 with estimates of order 5 and 3. */
export const DOP853: EmbeddedTableau = {
  order: 8,
  stages: [
    [0.05260015195876773],
    [0.0197250569845379, 0.0591751709536137],
    [0.02958758547680685, 0, 0.08876275643042054],
    [0.2413651341592667, 0, -0.8845494793282861, 0.924834003261792],
    sparse(5, [1, 0.037037037037037035], [4, 0.17082860872947386], [5, 0.12546768756682242]),
    sparse(6, [1, 0.037109375], [4, 0.17025221101954405], [5, 0.06021653898045596], [
      6,
      -0.017578125,
    ]),
    sparse(
      7,
      [1, 0.03709200011850479],
      [4, 0.17038392571223998],
      [5, 0.10726203044637328],
      [6, -0.015319437748624402],
      [7, 0.008273789163814023],
    ),
    sparse(
      8,
      [1, 0.6241109587160757],
      [4, -3.3608926294469414],
      [5, -0.868219346841726],
      [6, 27.59209969944671],
      [7, 20.154067550477894],
      [8, -43.48988418106996],
    ),
    sparse(
      9,
      [1, 0.47766253643826434],
      [4, -2.4881146199716677],
      [5, -0.590290826836843],
      [6, 21.230051448181193],
      [7, 15.279233632882423],
      [8, -33.28821096898486],
      [9, -0.020331201708508627],
    ),
    sparse(
      10,
      [1, -0.9371424300859873],
      [4, 5.186372428844064],
      [5, 1.0914373489967295],
      [6, -8.149787010746927],
      [7, -18.52006565999696],
      [8, 22.739487099350505],
      [9, 2.4936055526796523],
      [10, -3.0467644718982196],
    ),
    sparse(
      11,
      [1, 2.273310147516538],
      [4, -10.53449546673725],
      [5, -2.0008720582248625],
      [6, -17.9589318631188],
      [7, 27.94888452941996],
      [8, -2.8589982771350235],
      [9, -8.87285693353063],
      [10, 12.360567175794303],
      [11, 0.6433927460157636],
    ),
  ],
  weights: B853,
  errors: [
    sparse(
      12,
      [1, 0.01312004499419488],
      [6, -1.2251564463762044],
      [7, -0.4957589496572502],
      [8, 1.6643771824549864],
      [9, -0.35032884874997366],
      [10, 0.3341791187130175],
      [11, 0.08192320648511571],
      [12, -0.022355307863886294],
    ),
    B853.map((b, j) =>
      j === 0
        ? -0.18980075407240762
        : j === 8
        ? -0.4226823213237919
        : j === 11
        ? 0.02265179219836082
        : b
    ),
  ],
  errorOrder: 7,
  firstSameAsLast: false,
};
