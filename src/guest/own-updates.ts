import { equalBytes } from '../bytes/compare.js';
import { coveredSegments } from '../check/verify-digest.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { knownCpus } from '../description/capacity.js';
import { parseElfcorehdr } from '../elf/elfcorehdr.js';
import { parseFdt } from '../fdt/fdt.js';
import type { FileSystem } from '../file/file-system.js';
import type { KdumpImage } from '../image/image.js';
import { subtract, totalSize } from '../memory/range-set.js';
import type { Range } from '../memory/range.js';
import { patchableMemory } from '../patch/target.js';
import type { Plan } from '../plan/plan.js';
import type { GuestDevices } from './devices.js';

/** What an image said when it was last seen, and where in its file. */
interface Seen {
  readonly memory: readonly Range[];
  readonly cpus: readonly number[];
  readonly pieces: readonly { readonly position: number; bytes: Uint8Array }[];
}

/**
 * Finds out whether a guest's kernel keeps its image current by itself, as kernels do with CONFIG_CRASH_HOTPLUG (crash_handle_hotplug_event in
 * kernel/crash_core.c). The evidence is that memory or CPUs that QEMU plugged in came into the image though nobody here wrote them, and that
 * the purgatory's digest lets that happen: it does not cover the elfcorehdr.
 */
export class OwnUpdates {
  private seen: Seen | undefined;
  private isProven = false;

  /** Whether the guest's kernel keeps `image` current. Once it was seen to do so, it does, until an image is loaded whose digest forbids it. */
  areMadeTo(image: KdumpImage, devices: GuestDevices): boolean {
    if (!isUpdatable(image)) this.isProven = false;
    else if (this.seen !== undefined) this.isProven ||= hasGrown(this.seen, image, devices);
    return this.isProven;
  }

  /** Keeps what the image says once `plan` is written, or as it is. */
  remember(plan: Plan, isWritten: boolean): void {
    const { image } = plan;
    const memory = patchableMemory(image.memory);
    const pieces = plan.segments.map(({ name, address, before, after }) => ({
      name,
      position: memory.fileOffset(address, before.length),
      bytes: isWritten ? after : before,
    }));
    const bytesOf = (wanted: string): Uint8Array | undefined => pieces.find(({ name }) => name === wanted)?.bytes;
    const [elfcorehdr, fdt] = [bytesOf('elfcorehdr'), bytesOf('fdt')];
    const now: KdumpImage = {
      ...image,
      ...(elfcorehdr === undefined ? {} : { elfcorehdr: { ...image.elfcorehdr, contents: parseElfcorehdr(elfcorehdr) } }),
      ...(fdt === undefined || image.fdt === null ? {} : { fdt: { ...image.fdt, tree: parseFdt(fdt) } }),
    };
    this.seen = { memory: listed(now), cpus: ids(now), pieces };
  }

  /** Whether elfcorehdr or FDT in the file are other ones than at the last look, or than were remembered since. @throws KdumpError `io` */
  isChanged(fileSystem: FileSystem, path: string): boolean {
    if (this.seen === undefined) return false;
    const descriptor = fileSystem.open(path, 'read');
    try {
      const changed = this.seen.pieces.filter((piece) => {
        const before = piece.bytes;
        piece.bytes = new Uint8Array(before.length);
        fileSystem.read(descriptor, piece.bytes, piece.position);
        return !equalBytes(piece.bytes, before);
      });
      return changed.length > 0;
    } finally {
      fileSystem.close(descriptor);
    }
  }
}

/** An image whose digest covers the elfcorehdr would not boot after an update by the kernel. */
function isUpdatable(image: KdumpImage): boolean {
  const covered = coveredSegments(image);
  return covered.length > 0 && !covered.includes('elfcorehdr');
}

function hasGrown(before: Seen, image: KdumpImage, { dimms, unclear, cpus }: GuestDevices): boolean {
  const memory = subtract(listed(image), before.memory);
  const plugged = [...dimms, ...unclear].flatMap(({ range }) => range ?? []);
  const added = ids(image).filter((id) => !before.cpus.includes(id));
  const isPlugged = added.every((id) => cpus?.plugged.some((cpu) => cpu.id === id) === true);
  return memory.length + added.length > 0 && totalSize(subtract(memory, plugged)) === 0n && isPlugged;
}

function listed(image: KdumpImage): Range[] {
  return crashMemoryOf(image).ranges.map(({ range }) => range);
}

function ids(image: KdumpImage): number[] {
  return knownCpus(image).map(({ id }) => id);
}
