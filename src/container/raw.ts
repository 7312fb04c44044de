import type { InputFile } from '../file/input-file.js';
import type { Mapping } from '../text/numbers.js';
import { PhysicalMemory } from '../memory-source/file-memory.js';

/** Physical memory from a file that is nothing else: from address `base` on, or in the pieces of `map`. */
export function rawMemory(
  file: InputFile,
  { base = 0n, map }: { readonly base?: bigint; readonly map?: readonly Mapping[] },
): PhysicalMemory {
  const pieces = map ?? [{ fileOffset: 0n, address: base, size: file.size }];
  return new PhysicalMemory(
    file,
    pieces.map(({ fileOffset, address, size }) => ({ address, size, fileOffset, fileSize: size })),
  );
}
