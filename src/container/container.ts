import type { Architecture } from '../arch/architecture.js';
import type { ElfHeader } from '../elf/elf-header.js';
import type { InputFile } from '../file/input-file.js';
import type { Segment } from '../kexec/segment.js';
import type { PhysicalMemory } from '../memory-source/physical-memory.js';
import type { Mapping } from '../text/numbers.js';

/** What the user says of where a file lies in memory. */
export interface ContainerOptions {
  /** Physical address of file offset 0. */
  readonly base?: bigint | undefined;
  /** Pieces of the file and where they lie in physical memory, instead of `base`. */
  readonly map?: readonly Mapping[] | undefined;
}

/** How a file begins. */
export interface FileStart {
  /** Its ELF header, where it is a 64-bit ELF file. */
  readonly elf: ElfHeader | undefined;
  /** Its first 64 KiB, which are read when they are asked for. */
  readonly head: () => Uint8Array;
}

/** What a container holds. */
export interface OpenedContainer {
  readonly memory: PhysicalMemory;
  /** Only of a container that says where the segments are; in others they are looked for. */
  readonly table?: { readonly architecture: Architecture; readonly entry: bigint | null; readonly segments: readonly Segment[] };
}

/** A kind of file that holds physical memory. */
export interface Container {
  /** What to call an image in it. */
  readonly imageName: string;
  /** Whether a file that begins like this is one. */
  recognises(start: FileStart): boolean;
  /** Whether the file says where in memory its bytes lie; else the user does, and may be wrong. */
  readonly isPlaced: boolean;
  /** @throws KdumpError `input` when the file is damaged or of another kind */
  open(file: InputFile, options: ContainerOptions): OpenedContainer;
}
