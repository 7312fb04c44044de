import { knownFile } from '../file/known-files.js';
import type { InputFile } from '../file/input-file.js';
import { FileMemory } from '../memory-source/file-memory.js';
import type { Container, ContainerOptions } from './container.js';

/** A file that is nothing but physical memory: from address `base` on, or in the pieces of `map`. */
export const raw: Container = {
  imageName: 'kdump image in raw memory',
  isPlaced: false,
  // Memory has no magic: it is what is not known to be anything else.
  recognises: ({ elf, head }) => elf === undefined && (knownFile(head()) === undefined || isMappedRam(head())),
  open: (file, options) => ({ memory: rawMemory(file, options) }),
};

export function rawMemory(file: InputFile, { base = 0n, map }: ContainerOptions): FileMemory {
  const pieces = map ?? [{ fileOffset: 0n, address: base, size: file.size }];
  return new FileMemory(
    file,
    pieces.map(({ fileOffset, address, size }) => ({ address, size, fileOffset, fileSize: size })),
  );
}

/** A migration stream of QEMU that has the guest's pages where they would be in RAM, from some place in the file on (capability mapped-ram). */
function isMappedRam(head: Uint8Array): boolean {
  const start = Buffer.from(head.subarray(0, 4096)).toString('latin1');
  return start.startsWith('QEVM') && start.includes('mapped-ram');
}
