import { crashMemoryOf } from '../description/crash-memory.js';
import { knownCpus } from '../description/capacity.js';
import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { merged, subtract } from '../memory/range-set.js';
import { formatRange, type Range } from '../memory/range.js';
import type { GuestDevices } from './devices.js';

/** What of a guest an image does not show, by device. */
export interface GuestDifference {
  /** What to call it on one line. */
  readonly text: string;
  readonly changes: readonly Change[];
}

/**
 * What brings `image` to the memory and CPUs of its guest: DIMMs that it does not list, memory that it lists where there is neither RAM nor a
 * DIMM, and on pseries CPUs by their `core-id`.
 *
 * @param ram the guest's RAM at boot; null where it is not known, and then nothing is taken away
 */
export function changesToGuest(image: KdumpImage, ram: readonly Range[] | null, { dimms, cpus }: GuestDevices): GuestDifference[] {
  const { ranges } = crashMemoryOf(image);
  const listed = ranges.map(({ range }) => range);
  const ramListed = merged(ranges.filter(({ kind }) => kind === 'ram').map(({ range }) => range));
  const gone = ram === null ? [] : subtract(ramListed, [...ram, ...dimms.map(({ range }) => range)]);
  return [
    ...gone.map((memory) => ({ text: `memory ${formatRange(memory)} is gone`, changes: [{ action: 'remove', memory } as const] })),
    ...dimms.flatMap(({ id, range }) => {
      const changes = subtract([range], listed).map((memory) => ({ action: 'add', memory }) as const);
      return changes.length === 0 ? [] : [{ text: `DIMM ${id}`, changes }];
    }),
    ...cpuChanges(image, cpus),
  ];
}

function cpuChanges(image: KdumpImage, cpus: GuestDevices['cpus']): GuestDifference[] {
  if (cpus === null || image.fdt === null) return [];
  const known = knownCpus(image);
  const missing = cpus.filter(({ coreId }) => !known.some(({ id }) => id === coreId));
  const extra = known.filter(({ id }) => !cpus.some(({ coreId }) => coreId === id));
  return [
    ...extra.map(({ id }) => ({ text: `core ${id} is gone`, changes: [{ action: 'remove', cpu: { id } } as const] })),
    ...missing.map(({ coreId }) => ({ text: `core ${coreId}`, changes: [{ action: 'add', cpu: { id: coreId } } as const] })),
  ];
}
