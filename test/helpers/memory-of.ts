import { FileMemory, type Extent } from '../../src/memory-source/file-memory.js';
import { InputFile } from '../../src/file/input-file.js';
import { MemoryFileSystem } from './memory-file-system.js';

/** Physical memory of `bytes` from address 0 on, or in the pieces that `extents` say. Its file is called `memory`. */
export function memoryOf(bytes: Uint8Array, extents?: readonly Extent[]): FileMemory {
  const fileSystem = new MemoryFileSystem();
  fileSystem.contents = bytes;
  const whole = { address: 0n, size: BigInt(bytes.length), fileOffset: 0n, fileSize: BigInt(bytes.length) };
  return new FileMemory(InputFile.open(fileSystem, 'memory'), extents ?? [whole]);
}
