import { KdumpError } from '../errors.js';
import { liveCpusOf } from '../description/live-cpus.js';
import type { LiveDeviceTree } from '../machine/device-tree.js';
import { knownCpus } from '../description/capacity.js';
import type { KdumpImage } from '../image/image.js';
import type { Change, ChangeAction } from '../machine/change.js';
import { deviceTreeOfFdt } from '../machine/device-tree-blob.js';
import type { DlparRequest } from '../machine/events/dlpar.js';
import { DRC_NODES, cpuOfDrc, memoryOfDrc } from '../machine/events/drc.js';
import type { UdevEvent } from '../machine/events/udev.js';
import { ADDRESS_SPACE_END, intersection, rangeOfSize, type Range } from '../memory/range.js';
import { coreNamed, coreOfNumber } from './cpu-number.js';
import type { WatchEvent } from './event.js';

/** What events are resolved with. */
export interface ResolveContext {
  readonly image: KdumpImage;
  /** Size of the blocks that memory events name by number. */
  readonly blockSize: bigint | undefined;
  /** State of the block called `memory<N>`, where the machine's own directory is at hand. */
  readonly blockState?: ((name: string) => string) | undefined;
  readonly deviceTree?: LiveDeviceTree | undefined;
  /** What a dump should have of the machine's memory, where that is known: a block may be RAM in part only. */
  readonly memoryWanted?: readonly Range[] | undefined;
  readonly pruneCpus?: boolean | undefined;
  /** Threads that were removed while others of their core were not. Kept from burst to burst. */
  readonly removedThreads: Set<number>;
}

/** What an event asks for. */
export type Resolved =
  | {
      readonly changes: readonly Change[];
      /** Changes of neighbouring blocks may be made as one. */
      readonly isBlock: boolean;
      /** Memory that was plugged in, of which the event does not say that it came online. */
      readonly isPlugged?: boolean;
      /** What the reader has to know about it. */
      readonly note: string;
    }
  | { readonly outcome: 'nothing to do' | 'ignored'; readonly reason: string };

const ADDING = new Set(['add', 'online']);
const NODE_STAYS = 'its node stays, as the kernel leaves it; --prune-cpus deletes it';
const REMOVING = new Set(['remove', 'offline']);

/**
 * The changes that an event asks for.
 *
 * @throws KdumpError `refused` when it cannot be told which memory or CPU is meant; `usage` for an event that could not be read
 */
export function resolveEvent(event: WatchEvent, context: ResolveContext): Resolved {
  switch (event.source) {
    case 'unknown':
      throw event.error;
    case 'change':
      return { changes: [event.change], isBlock: false, note: '' };
    case 'qmp':
      return { changes: event.changes, isBlock: false, note: '' };
    case 'dlpar':
      return { changes: dlparChanges(event.dlpar, context), isBlock: false, note: '' };
    case 'udev':
      return resolveUdev(event.udev, context);
  }
}

/** Whether the image has to be looked at to know what becomes of an event. */
export function needsImage(event: WatchEvent): boolean {
  if (event.source === 'unknown') return false;
  if (event.source !== 'udev') return true;
  return isHotplug(event.udev) && !event.udev.isSynthetic;
}

/** Whether memory or a CPU comes or goes. */
export function isHotplug({ action, subsystem }: UdevEvent): boolean {
  return (subsystem === 'memory' || subsystem === 'cpu') && (ADDING.has(action) || REMOVING.has(action));
}

function resolveUdev(event: UdevEvent, context: ResolveContext): Resolved {
  const { action, subsystem, devicePath } = event;
  const block = /^\/devices\/system\/memory\/(memory([0-9]{1,12}))$/.exec(devicePath);
  const cpu = /^\/devices\/system\/cpu\/cpu([0-9]{1,7})$/.exec(devicePath);
  if (
    (subsystem === 'memory' && block === null) ||
    (subsystem === 'cpu' && cpu === null) ||
    (subsystem !== 'memory' && subsystem !== 'cpu')
  ) {
    return { outcome: 'ignored', reason: 'neither a memory block nor a CPU' };
  }
  const change: ChangeAction | undefined = ADDING.has(action) ? 'add' : REMOVING.has(action) ? 'remove' : undefined;
  if (change === undefined) return { outcome: 'ignored', reason: 'neither comes nor goes' };
  if (block !== null) return resolveBlock(change, action, block[1] ?? '', BigInt(block[2] ?? ''), context);
  return resolveCpu(change, event, Number(cpu?.[1]), context);
}

function resolveBlock(
  action: ChangeAction,
  word: string,
  name: string,
  number: bigint,
  { blockSize, blockState, memoryWanted }: ResolveContext,
): Resolved {
  if (blockSize === undefined) {
    throw new KdumpError('refused', 'the size of memory blocks is not known', {
      remedy: 'give --memory-block-size, which is in /sys/devices/system/memory/block_size_bytes, or --memory-blocks',
    });
  }
  if ((number + 1n) * blockSize > ADDRESS_SPACE_END) throw new KdumpError('refused', 'no such memory block', { found: name });
  // A new block may stay offline; then it is in no dump.
  const state = word === 'add' ? blockState?.(name) : undefined;
  if (state === 'offline') return { outcome: 'nothing to do', reason: 'the block is not online yet' };
  const block = rangeOfSize(number * blockSize, blockSize);
  const memory =
    action === 'remove' || memoryWanted === undefined ? [block] : memoryWanted.flatMap((range) => intersection(range, block) ?? []);
  if (memory.length === 0) return { outcome: 'nothing to do', reason: 'no memory in it belongs into a dump' };
  return {
    changes: memory.map((range) => ({ action, memory: range })),
    isBlock: true,
    ...(word === 'add' ? { isPlugged: true } : {}),
    note: word === 'add' && state === undefined ? 'whether it is online is not known; --memory-blocks tells' : '',
  };
}

function resolveCpu(change: ChangeAction, event: UdevEvent, number: number, context: ResolveContext): Resolved {
  const { image, removedThreads } = context;
  if (event.action === 'offline')
    return { outcome: 'nothing to do', reason: 'a CPU that is offline keeps its node, as the kernel leaves it' };
  if (change === 'add') removedThreads.delete(number);
  if (image.fdt !== null && change === 'remove' && context.pruneCpus !== true) return { outcome: 'nothing to do', reason: NODE_STAYS };
  if (image.fdt !== null && context.deviceTree !== undefined) return fromLiveTree(change, context, context.deviceTree);
  const core = event.nodePath === undefined ? coreOfNumber(image, number, change) : coreNamed(image, event.nodePath);
  if (core.isKnown && change === 'add') return { outcome: 'nothing to do', reason: 'it is in the FDT already' };
  if (change === 'remove' && core.threads.length > 1) {
    removedThreads.add(number);
    const left = core.threads.filter((thread) => !removedThreads.has(thread));
    if (left.length > 0) return { outcome: 'nothing to do', reason: `its core stays as long as other threads do: ${left.join(', ')}` };
    for (const thread of core.threads) removedThreads.delete(thread);
  }
  return { changes: [{ action: change, cpu: { id: core.id } }], isBlock: false, note: core.assumption };
}

/** The tree says which CPUs there are, whatever number Linux gives them. */
function fromLiveTree(change: ChangeAction, { image }: ResolveContext, deviceTree: LiveDeviceTree): Resolved {
  const live = liveCpusOf(deviceTree, image.architecture, false);
  const known = knownCpus(image);
  const threadsOf = (cpus: readonly { threads: readonly number[] }[]): Set<number> => new Set(cpus.flatMap(({ threads }) => threads));
  if (change === 'add') {
    const there = threadsOf(known);
    const missing = live.filter(({ threads }) => !threads.every((thread) => there.has(thread)));
    if (missing.length === 0) return { outcome: 'nothing to do', reason: 'all CPUs of the device tree are in the FDT already' };
    return { changes: missing.map(({ id }) => ({ action: 'add', cpu: { id } })), isBlock: false, note: '' };
  }
  const present = threadsOf(live);
  const gone = known.filter(({ threads }) => !threads.some((thread) => present.has(thread)));
  if (gone.length === 0) return { outcome: 'nothing to do', reason: 'all CPUs of the FDT are in the device tree' };
  return { changes: gone.map(({ id }) => ({ action: 'remove', cpu: { id } })), isBlock: false, note: '' };
}

function dlparChanges({ resource, action, index, count }: DlparRequest, { image, deviceTree }: ResolveContext): Change[] {
  const own = image.fdt === null ? undefined : deviceTreeOfFdt(image.fdt.tree, DRC_NODES);
  const tree = deviceTree?.root ?? own;
  if (tree === undefined) {
    throw new KdumpError('refused', 'no device tree says what a DLPAR string means', {
      found: `an image of ${image.architecture.name} without FDT`,
      expected: 'one of a PowerPC machine',
    });
  }
  if (resource === 'memory') return memoryOfDrc(tree, index, count).map((memory) => ({ action, memory }));
  try {
    return [{ action, cpu: { id: cpuOfDrc(tree, index) } }];
  } catch (error) {
    // What was removed is gone from the live tree; the image still has it.
    if (tree !== own && own !== undefined && action === 'remove') return [{ action, cpu: { id: cpuOfDrc(own, index) } }];
    throw error;
  }
}
