import { KdumpError } from '../errors.js';
import { knownCpus } from '../description/capacity.js';
import type { KdumpImage } from '../image/image.js';
import type { ChangeAction } from '../machine/change.js';
import { excerpt } from '../text/excerpt.js';

/** The CPU node that a number of Linux stands for. */
export interface NumberedCore {
  /** As in `reg`. */
  readonly id: number;
  readonly threads: readonly number[];
  /** Whether the image's FDT has it. */
  readonly isKnown: boolean;
  /** What is said where nothing but its number says which CPU a new one is; else empty. */
  readonly assumption: string;
}

const REMEDY = 'give --device-tree with the live tree, or tell the CPU by the id in its reg: { "action": "add", "cpu": { "id": … } }';

/**
 * The core that Linux's CPU `number` belongs to.
 *
 * Linux counts CPUs as it meets them. On PowerPC that is the number of the thread (`ibm,ppc-interrupt-server#s`) as long as threads are numbered
 * without a gap, from 0 on (smp_setup_cpu_maps in arch/powerpc/kernel/setup-common.c), and a core that is plugged later gets the first numbers
 * that are free (find_cpu_id_range in arch/powerpc/platforms/pseries/hotplug-cpu.c): the same, if cores come in order. On other architectures
 * with an FDT a number says nothing of a CPU that is not in it. Images without FDT count as Linux does.
 *
 * @throws KdumpError `refused` when the number does not tell
 */
export function coreOfNumber(image: KdumpImage, number: number, change: ChangeAction): NumberedCore {
  if (image.fdt === null) return { id: number, threads: [number], isKnown: false, assumption: '' };
  const cores = knownCpus(image);
  if (image.architecture.cpuThreadsProperty === undefined) {
    // Which of them it is makes no difference to one that came; one that goes has to be told.
    if (number < cores.length && change === 'add') return { id: number, threads: [], isKnown: true, assumption: '' };
    throw refusedNumber(number, `${cores.length} CPUs in the FDT, which Linux numbers in an order of its own`);
  }
  const threads = cores.flatMap((core) => core.threads).sort((a, b) => a - b);
  if (threads.some((thread, index) => thread !== index))
    throw refusedNumber(number, 'threads in the FDT that are not numbered without a gap');
  const core = cores.find((each) => each.threads.includes(number));
  if (core !== undefined) return { id: core.id, threads: core.threads, isKnown: true, assumption: '' };
  const width = cores[0]?.threads.length ?? 1;
  if (cores.some((each) => each.threads.length !== width)) throw refusedNumber(number, 'cores with different numbers of threads');
  const id = number - (number % width);
  return {
    id,
    threads: Array.from({ length: width }, (_, index) => id + index),
    isKnown: false,
    assumption: `taken for thread ${number}, as Linux numbers CPUs that come in order; --device-tree makes sure`,
  };
}

/** The core whose node has this path, such as `/cpus/PowerPC,POWER9@8`: its unit address is its id. */
export function coreNamed(image: KdumpImage, nodePath: string): NumberedCore {
  const name = nodePath.slice(nodePath.lastIndexOf('/') + 1);
  const core = knownCpus(image).find(({ node }) => node.name === name);
  if (core !== undefined) return { id: core.id, threads: core.threads, isKnown: true, assumption: '' };
  const unit = /^[^@]+@([0-9a-f]{1,8})$/.exec(name)?.[1];
  if (unit === undefined) {
    throw new KdumpError('refused', 'the device tree node of the event is not that of a CPU', {
      found: excerpt(nodePath),
      expected: '/cpus/<name>@<id>',
    });
  }
  const id = Number.parseInt(unit, 16);
  return { id, threads: [id], isKnown: false, assumption: '' };
}

function refusedNumber(number: number, found: string): KdumpError {
  return new KdumpError('refused', `Linux's number ${number} does not tell which CPU it is`, { segment: 'fdt', found, remedy: REMEDY });
}
