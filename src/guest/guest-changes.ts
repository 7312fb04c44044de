import { hex, printable } from '../errors.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { knownCpus } from '../description/capacity.js';
import type { Finding } from '../check/finding.js';
import type { KdumpImage } from '../image/image.js';
import type { Change } from '../machine/change.js';
import { merged, subtract, totalSize } from '../memory/range-set.js';
import { formatRange, intersection, type Range } from '../memory/range.js';
import { formatSize } from '../text/numbers.js';
import type { Dimm, GuestDevices, UnclearDevice } from './devices.js';

/** What of a guest an image does not show, by device. */
export interface GuestDifference {
  /** What to call it on one line. */
  readonly text: string;
  readonly changes: readonly Change[];
  /** The device that came, as {@link pluggedIn} names it; undefined where something went. */
  readonly device?: string;
}

/** An image beside what QEMU says of its guest. */
export interface GuestComparison {
  readonly memory: readonly GuestDifference[];
  readonly cpus: readonly GuestDifference[];
  /** Whether QEMU knows all of it; where it does not, `findings` has what the guest alone knows. */
  readonly compared: { readonly memory: boolean; readonly cpus: boolean };
  readonly findings: readonly Finding[];
}

/**
 * What brings `image` to the memory and CPUs of its guest: DIMMs that it does not list, memory that it lists where the guest has nothing, and on
 * pseries CPUs by their `core-id`.
 *
 * Nothing is taken away that QEMU merely does not show: memory goes only where no address of it has anything behind it and no device has its
 * memory; a CPU goes only where its slot is empty.
 */
export function compareGuest(image: KdumpImage, devices: GuestDevices): GuestComparison {
  const { dimms, unclear } = devices;
  const { ranges } = crashMemoryOf(image);
  const listed = ranges.map(({ range }) => range);
  const ram = merged(ranges.filter(({ kind }) => kind === 'ram').map(({ range }) => range));
  const memory = [
    ...goneFrom(ram, devices).map((range) => ({
      text: `memory ${formatRange(range)} is gone`,
      changes: [{ action: 'remove', memory: range } as const],
    })),
    ...dimms.flatMap((dimm) => {
      const changes = subtract([dimm.range], listed).map((each) => ({ action: 'add', memory: each }) as const);
      return changes.length === 0 ? [] : [{ text: `DIMM ${dimm.id}`, changes, device: nameOfDimm(dimm) }];
    }),
  ];
  const cpus = cpuChanges(image, devices.cpus);
  const findings = [...unclear.flatMap((device) => memoryFindings(device, listed)), ...viewFindings(devices), ...cpus.findings];
  return {
    memory,
    cpus: cpus.differences,
    compared: {
      memory: !findings.some(({ code }) => code === 'memory-not-compared'),
      cpus: !findings.some(({ code }) => code === 'cpus-not-compared'),
    },
    findings,
  };
}

/** Names of all devices that {@link compareGuest} brings into an image, one that was plugged in elsewhere by another name. */
export function pluggedIn({ dimms, cpus }: GuestDevices): string[] {
  return [...dimms.map(nameOfDimm), ...(cpus?.plugged ?? []).map(({ id }) => nameOfCore(id))];
}

function nameOfDimm({ id, range }: Dimm): string {
  return `DIMM ${formatRange(range)} ${id}`;
}

function nameOfCore(id: number): string {
  return `core ${id}`;
}

/** Memory of which it is known that the guest has it no longer. */
function goneFrom(ram: readonly Range[], { mapped, dimms, noRam, unclear }: GuestDevices): Range[] {
  if (mapped === null) return [];
  const held: Range[] = [...mapped, ...noRam, ...dimms.map(({ range }) => range)];
  for (const { range, plugged } of unclear) {
    if (range !== null) held.push(range);
    // It may be anywhere.
    else if (plugged !== 0n) return [];
  }
  return subtract(ram, held);
}

function memoryFindings({ id, kind, range, plugged }: UnclearDevice, listed: readonly Range[]): Finding[] {
  const here = range === null ? null : totalSize(listed.flatMap((each) => intersection(each, range) ?? []));
  if (plugged === 0n && (here === null || here === 0n)) return [];
  const name = `the ${printable(kind)} device ${printable(id)}${range === null ? '' : ` at ${hex(range.start)}`}`;
  const amount = plugged === null ? 'an unknown amount' : formatSize(plugged);
  return [
    {
      severity: 'warning',
      code: 'memory-not-compared',
      message: `${name} has ${amount} plugged in${here === null ? '' : `, and the image lists ${formatSize(here)} there`}: which part is in use only the guest knows; sync with --iomem, a copy of its /proc/iomem, tells`,
    },
  ];
}

function viewFindings({ mapped }: GuestDevices): Finding[] {
  if (mapped !== null) return [];
  return [
    {
      severity: 'warning',
      code: 'memory-not-compared',
      message:
        'what memory the guest has no longer is not known: QEMU does not show where it has any; sync with --iomem, a copy of its /proc/iomem, tells',
    },
  ];
}

function cpuChanges(image: KdumpImage, slots: GuestDevices['cpus']): { differences: GuestDifference[]; findings: Finding[] } {
  const notCompared = (message: string): Finding => ({ severity: 'warning', code: 'cpus-not-compared', message });
  if (image.fdt === null || slots === null) {
    const reason = "CPUs were not compared with the guest: QEMU does not name them by the image's ids";
    return {
      differences: [],
      findings: [
        notCompared(
          `${reason}; sync with ${image.fdt === null ? '--cpus, a copy of its /sys/devices/system/cpu' : '--device-tree, a copy of its live device tree'}, tells`,
        ),
      ],
    };
  }
  const known = knownCpus(image);
  const missing = slots.plugged.filter(({ id }) => !known.some((cpu) => cpu.id === id));
  const extra = known.filter(({ id }) => !slots.plugged.some((cpu) => cpu.id === id));
  const unknown = extra.filter(({ id }) => !slots.free.includes(id)).map(({ id }) => id);
  return {
    differences: [
      ...extra
        .filter(({ id }) => slots.free.includes(id))
        .map(({ id }) => ({ text: `core ${id} is gone`, changes: [{ action: 'remove', cpu: { id } } as const] })),
      ...missing.map(({ id }) => ({ text: `core ${id}`, changes: [{ action: 'add', cpu: { id } } as const], device: nameOfCore(id) })),
    ],
    findings:
      unknown.length === 0
        ? []
        : [notCompared(`QEMU has no place for CPU ${unknown.join(', ')} of the image: whether the guest has it is not known`)],
  };
}
