import { KdumpError } from '../errors.js';
import { dataView } from '../bytes/byte-order.js';
import type { Btf, Member, Struct } from './btf.js';
import type { KernelMemory } from './kernel-memory.js';

/** The members that are read of each structure of the kernel; those of the second list are not in every version and configuration. */
const STRUCTURES = {
  resource: [['start', 'end', 'name', 'parent', 'sibling', 'child'], []],
  kimage: [
    ['start', 'nr_segments', 'segment', 'type', 'file_mode'],
    // 6.5: 247262756121 "crash: add generic infrastructure for crash hotplug support"; update_elfcorehdr is hotplug_support since 6.10.
    ['elfcorehdr_index', 'elfcorehdr_updated', 'hotplug_support', 'update_elfcorehdr'],
  ],
  kexec_segment: [['bufsz', 'mem', 'memsz'], []],
  device_node: [['full_name', 'properties', 'parent', 'child', 'sibling'], []],
  property: [['name', 'length', 'value', 'next'], []],
} as const;

export type StructureName = keyof typeof STRUCTURES;
type MemberName<Name extends StructureName> = (typeof STRUCTURES)[Name][number][number];

/**
 * Structures of 64-bit kernels that carry no BTF, such as Debian's 6.1 for ppc64le: include/linux/ioport.h, kexec.h and of.h of 6.1. What is read by
 * them has to agree with itself: whoever reads a tree checks parents, whoever reads an image its segments.
 */
const WITHOUT_BTF: Readonly<Record<StructureName, Struct>> = {
  resource: struct(64, { start: 0, end: 8, name: 16, parent: 40, sibling: 48, child: 56 }),
  kimage: struct(640, { start: 24, nr_segments: 56, segment: 64 }, { type: [632, 0], file_mode: [632, 2] }),
  kexec_segment: struct(32, { bufsz: 8, mem: 16, memsz: 24 }),
  device_node: struct(144, { full_name: 16, properties: 88, parent: 104, child: 112, sibling: 120 }),
  property: struct(32, { name: 0, length: 8, value: 16, next: 24 }),
};

/** @param bitFields by their name, the byte of the word they are in, and their first bit in it; each has one bit */
function struct(
  size: number,
  members: Readonly<Record<string, number>>,
  bitFields: Readonly<Record<string, [number, number]>> = {},
): Struct {
  return {
    size,
    members: new Map([
      ...Object.entries(members).map(([name, byte]): [string, Member] => [name, { bit: 8 * byte, bits: 0 }]),
      ...Object.entries(bitFields).map(([name, [byte, bit]]): [string, Member] => [name, { bit: 8 * byte + bit, bits: 1 }]),
    ]),
  };
}

/** The structures of one kernel. */
export class Layouts {
  private readonly known = new Map<StructureName, Struct>();

  private readonly btf: Btf | null;
  private readonly memory: KernelMemory;

  /** @param btf null where the kernel has none */
  constructor(btf: Btf | null, memory: KernelMemory) {
    this.btf = btf;
    this.memory = memory;
  }

  /** The structure at `address`, read at once. @throws KdumpError `input` when the kernel does not describe it, or there is no memory */
  at<Name extends StructureName>(name: Name, address: bigint): Structure<MemberName<Name>> {
    const struct = this.struct(name);
    // A member begins inside, and has 8 bytes at most.
    const bytes = new Uint8Array(struct.size + 8);
    bytes.set(this.memory.read(address, struct.size));
    return new Structure(dataView(bytes), this.memory.isLittleEndian, struct);
  }

  /** Bytes that the notes of a CPU take (note_buf_t, include/linux/crash_core.h); undefined where only the kernel's types would tell. */
  get crashNotesSize(): number | undefined {
    return this.btf?.arrayOfWordsSize('note_buf_t');
  }

  sizeOf(name: StructureName): number {
    return this.struct(name).size;
  }

  private struct(name: StructureName): Struct {
    let struct = this.known.get(name);
    if (struct === undefined) {
      const [members, optional] = STRUCTURES[name];
      struct = this.btf === null ? WITHOUT_BTF[name] : this.btf.struct(name, members, optional);
      if (struct === undefined || struct.size > 0x1000 || !isInside(struct)) {
        throw new KdumpError('input', `the kernel's BTF does not tell what struct ${name} is`, {
          expected: `one with ${members.join(', ')}`,
        });
      }
      this.known.set(name, struct);
    }
    return struct;
  }
}

function isInside({ size, members }: Struct): boolean {
  return [...members.values()].every(({ bit }) => bit >>> 3 < size);
}

/** A structure in the kernel's memory. */
export class Structure<Member extends string> {
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly struct: Struct;

  constructor(view: DataView, little: boolean, struct: Struct) {
    this.view = view;
    this.little = little;
    this.struct = struct;
  }

  has(name: Member): boolean {
    return this.struct.members.has(name);
  }

  /** The byte at which a member begins. */
  offset(name: Member): number {
    return (this.struct.members.get(name)?.bit ?? Infinity) >>> 3;
  }

  u64(name: Member): bigint {
    return this.view.getBigUint64(this.offset(name), this.little);
  }

  s32(name: Member): number {
    return this.view.getInt32(this.offset(name), this.little);
  }

  /** A bool, or a bit field in an unsigned int. */
  flag(name: Member): number {
    const { bit = 0, bits = 0 } = this.struct.members.get(name) ?? {};
    if (bits === 0) return this.view.getUint8(bit >>> 3);
    const word = this.view.getUint32((bit >>> 5) * 4, this.little);
    const first = this.little ? bit % 32 : 32 - (bit % 32) - bits;
    return (word >>> first) & ((1 << bits) - 1);
  }
}
