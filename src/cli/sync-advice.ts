import { KdumpError, hex } from '../errors.js';
import type { CheckResult } from '../check/check.js';
import type { KdumpImage } from '../image/image.js';
import type { MachineState } from '../machine/machine-state.js';
import { sizeOf } from '../memory/range.js';
import { planPossible, reasonOf } from '../plan/plan-possible.js';
import { isNothingToDo, type Plan } from '../plan/plan.js';
import { changesToState, optionsToState } from '../plan/sync.js';
import type { SyncAdvice } from '../report/subject.js';
import { KCORE } from './kcore.js';
import type { ImageOptions } from './options/image-options.js';
import type { StateOptions } from './options/state-options.js';

/**
 * What `sync` would do about what `check` found, tried out: nobody is sent to a command that refuses.
 *
 * @returns null where nothing was found that is not current
 */
export function syncAdvice(
  path: string,
  options: ImageOptions & StateOptions,
  image: KdumpImage,
  state: MachineState,
  result: CheckResult,
): SyncAdvice | null {
  if (result.current !== false) return null;
  if (path === KCORE) return { command: null, why: `${KCORE} can only be read: reload the kdump image` };
  const planned = tried(image, state);
  if (typeof planned === 'string') return { command: null, why: planned };
  if (isNothingToDo(planned)) return { command: null, why: 'sync can change nothing of it: reload the kdump image' };
  const refused = planned.changes.filter(({ effect }) => effect.isRefused === true).length;
  const limits = [
    ...(image.format === 'elf-core' ? ['in this copy, not on the machine that it is of'] : []),
    ...(refused === 0 ? [] : [`but for ${refused} ${refused === 1 ? 'change that is' : 'changes that are'} refused`]),
  ];
  return { command: commandLine('sync', path, options), why: limits.length === 0 ? null : limits.join(', ') };
}

/** @returns why it is refused, in a line */
function tried(image: KdumpImage, state: MachineState): Plan | string {
  try {
    return planPossible(image, changesToState(image, state).changes, optionsToState(state));
  } catch (error) {
    if (error instanceof KdumpError) return `sync refuses: ${reasonOf(error)}`;
    throw error;
  }
}

/** The command with what was said of image and machine, ready for a shell. */
function commandLine(command: string, path: string, options: ImageOptions & StateOptions): string {
  const { iomem, deviceTree, cpus, memoryBlocks, cmaRanges, format, base, map = [], crashKernel, kexecLog } = options;
  const given: readonly (readonly [string, string | undefined])[] = [
    ['--iomem', iomem],
    ['--device-tree', deviceTree],
    ['--cpus', cpus],
    ['--memory-blocks', memoryBlocks],
    ['--cma-ranges', cmaRanges],
    ['--format', format],
    ['--base', base === undefined ? undefined : hex(base)],
    ...map.map(({ fileOffset, address, size }) => ['--map', `${hex(fileOffset)}:${hex(address)}:${hex(size)}`] as const),
    ['--crash-kernel', crashKernel === undefined ? undefined : `${hex(crashKernel.start)}+${hex(sizeOf(crashKernel))}`],
    ['--kexec-log', kexecLog],
  ];
  const words = given.flatMap(([option, value]) => (value === undefined ? [] : [option, value]));
  return ['kdump-hotplug', command, path.startsWith('-') ? `./${path}` : path, ...words].map(quoted).join(' ');
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
