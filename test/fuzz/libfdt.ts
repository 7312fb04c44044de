import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KdumpError } from '../../src/errors.js';
import { FDT_OLDEST_VERSION } from '../../src/fdt/constants.js';
import { parseFdt } from '../../src/fdt/fdt.js';
import { withoutStacks } from '../helpers/without-stacks.js';
import { Mutator } from './mutator.js';
import { Random } from './random.js';
import { fdtSeeds } from './seeds.js';
import { stricterThanLibfdt } from './stricter.js';

const SOURCE = fileURLToPath(new URL('./libfdt-check.c', import.meta.url));
const CRASHED = 1000;
const BATCH = 1_000;

/** Compiles the judge into `folder`. Undefined, and the reason printed, where there is no compiler or no libfdt. */
export function buildJudge(folder: string): string | undefined {
  const program = join(folder, 'libfdt-check');
  const { status, error, stderr } = spawnSync('gcc', ['-O2', '-o', program, SOURCE, '-lfdt'], { encoding: 'utf8' });
  if (status === 0) return program;
  console.warn(`libfdt is not compared with: ${error?.message ?? stderr.split('\n', 1)[0] ?? ''}`);
  return undefined;
}

export interface Comparison {
  inputs: number;
  bothTake: number;
  bothRefuse: number;
  crashes: number;
  /** Times that a rule of {@link stricterThanLibfdt} made the difference. */
  readonly stricter: Map<string, number>;
  /** What no rule explains, and every blob that libfdt refuses and parseFdt takes; the first few. */
  readonly unexplained: string[];
}

/** Gives `count` damaged device trees to both. */
export function compare(judge: string, count: number, seed: number): Comparison {
  const mutator = new Mutator(new Random(seed), fdtSeeds());
  const result: Comparison = { inputs: 0, bothTake: 0, bothRefuse: 0, crashes: 0, stricter: new Map(), unexplained: [] };
  for (; result.inputs < count && result.unexplained.length < 10; result.inputs += BATCH) {
    const blobs = Array.from({ length: BATCH }, () => mutator.next().slice());
    const verdicts = judged(judge, blobs);
    withoutStacks(() => {
      for (const [index, blob] of blobs.entries()) note(result, blob, verdicts[index] as number);
    });
  }
  return result;
}

function judged(judge: string, blobs: readonly Uint8Array[]): Int32Array {
  const pieces = blobs.flatMap((blob) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(blob.length);
    return [length, blob];
  });
  const { status, stdout } = spawnSync(judge, { input: Buffer.concat(pieces), maxBuffer: 1 << 28, timeout: 120_000 });
  if (status !== 0 || stdout.length !== 4 * blobs.length) throw new Error(`the judge ended with ${status ?? 'a signal'}`);
  return Int32Array.from(blobs, (_, index) => stdout.readInt32LE(4 * index));
}

function note(result: Comparison, blob: Uint8Array, verdict: number): void {
  if (verdict === CRASHED) {
    result.crashes += 1;
    return;
  }
  let problem: string | undefined;
  try {
    parseFdt(blob, { oldest: FDT_OLDEST_VERSION });
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    problem = error.problem;
  }
  if (problem === undefined && verdict === 0) result.bothTake += 1;
  else if (problem !== undefined && verdict !== 0) result.bothRefuse += 1;
  else if (problem === undefined)
    result.unexplained.push(`libfdt refuses (${verdict}) what is taken here: ${Buffer.from(blob).toString('hex')}`);
  else if (stricterThanLibfdt.some(({ problem: rule, version }) => rule.test(problem) && (version ?? versionOf(blob)) === versionOf(blob)))
    result.stricter.set(problem, (result.stricter.get(problem) ?? 0) + 1);
  else result.unexplained.push(`libfdt takes what is refused here (${problem}): ${Buffer.from(blob).toString('hex')}`);
}

const versionOf = (blob: Uint8Array): number =>
  blob.length < 24 ? 0 : Buffer.from(blob.buffer, blob.byteOffset, blob.length).readUInt32BE(20);
