import { KdumpError } from '../errors.js';
import { dataView } from '../bytes/byte-order.js';

const MAGIC = 0xeb9f;
const HEADER = 24;
const [ARRAY, STRUCT, TYPEDEF] = [3, 4, 8];
/** Bytes after the 12 of a type, by kind: fixed ones, and so many for each of its `vlen` members (Documentation/bpf/btf.rst). */
const REST: readonly (readonly [fixed: number, each: number])[] = [
  [0, 0], // void
  [4, 0], // INT
  [0, 0], // PTR
  [12, 0], // ARRAY
  [0, 12], // STRUCT
  [0, 12], // UNION
  [0, 8], // ENUM
  [0, 0], // FWD
  [0, 0], // TYPEDEF
  [0, 0], // VOLATILE
  [0, 0], // CONST
  [0, 0], // RESTRICT
  [0, 0], // FUNC
  [0, 8], // FUNC_PROTO
  [4, 0], // VAR
  [0, 12], // DATASEC
  [0, 0], // FLOAT
  [4, 0], // DECL_TAG
  [0, 0], // TYPE_TAG
  [0, 12], // ENUM64
];

/** Where a member of a structure lies, in bits from its start. */
export interface Member {
  readonly bit: number;
  /** 0 but for bit fields. */
  readonly bits: number;
}

export interface Struct {
  readonly size: number;
  readonly members: ReadonlyMap<string, Member>;
}

/** Types of a kernel by name, from the BTF that it carries (Documentation/bpf/btf.rst). */
export class Btf {
  private readonly view: DataView;
  private readonly strings: Buffer;
  /** Where each type begins, by its number. */
  private readonly types: Uint32Array;

  private readonly little: boolean;

  /** @throws KdumpError `input` when it is damaged, or has types of a kind that is not known */
  constructor(bytes: Uint8Array, little: boolean) {
    this.little = little;
    const head = dataView(bytes);
    if (bytes.length < HEADER || head.getUint16(0, little) !== MAGIC) throw damaged('no BTF header');
    const [size, typesAt, typesSize, stringsAt, stringsSize] = [4, 8, 12, 16, 20].map((at) => head.getUint32(at, little)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    if (size + typesAt + typesSize > bytes.length || size + stringsAt + stringsSize > bytes.length)
      throw damaged('sections that pass its end');
    const types = bytes.subarray(size + typesAt, size + typesAt + typesSize);
    const strings = bytes.subarray(size + stringsAt, size + stringsAt + stringsSize);
    this.view = dataView(types);
    this.strings = Buffer.from(strings.buffer, strings.byteOffset, strings.length);
    this.types = this.starts(typesSize);
  }

  /** The structure of that name which has all `members`. @returns undefined when there is none, or several differ in them */
  struct(name: string, members: readonly string[], optional: readonly string[] = []): Struct | undefined {
    const wanted = [...members, ...optional];
    const found = this.named(name, STRUCT).flatMap((at) => {
      const struct = this.structAt(at, wanted);
      return members.every((member) => struct.members.has(member)) ? [struct] : [];
    });
    const [first] = found;
    return found.every((each) => sameStruct(each, first as Struct, wanted)) ? first : undefined;
  }

  /** The bytes of a typedef of an array of 32-bit numbers. */
  arrayOfWordsSize(name: string): number | undefined {
    for (const at of this.named(name, TYPEDEF)) {
      const target = this.types[this.view.getUint32(at + 8, this.little)];
      if (target !== undefined && this.kindAt(target) === ARRAY) return 4 * this.view.getUint32(target + 20, this.little);
    }
    return undefined;
  }

  private starts(size: number): Uint32Array {
    const starts = new Uint32Array(1 + Math.floor(size / 12));
    let count = 1;
    let at = 0;
    for (; at + 12 <= size; count += 1) {
      starts[count] = at;
      const rest = REST[this.kindAt(at)];
      if (rest === undefined) throw damaged(`type ${count} of kind ${this.kindAt(at)}`);
      at += 12 + rest[0] + rest[1] * this.countAt(at);
    }
    if (at !== size) throw damaged(`type ${count - 1} that passes the end of the types`);
    return starts.subarray(0, count);
  }

  /** Where the types of that kind and name begin. */
  private named(name: string, kind: number): number[] {
    const offset = this.strings.indexOf(`\0${name}\0`, 0, 'latin1') + 1;
    if (offset === 0) return [];
    const found: number[] = [];
    for (let index = 1; index < this.types.length; index += 1) {
      const at = this.types[index] as number;
      if (this.view.getUint32(at, this.little) === offset && this.kindAt(at) === kind) found.push(at);
    }
    return found;
  }

  private structAt(at: number, wanted: readonly string[]): Struct {
    const hasBitFields = this.view.getUint32(at + 4, this.little) >>> 31 === 1;
    const members = new Map<string, Member>();
    for (let index = 0; index < this.countAt(at); index += 1) {
      const member = at + 12 + 12 * index;
      const name = this.text(this.view.getUint32(member, this.little));
      if (!wanted.includes(name)) continue;
      const offset = this.view.getUint32(member + 8, this.little);
      members.set(name, hasBitFields ? { bit: offset & 0xff_ffff, bits: offset >>> 24 } : { bit: offset, bits: 0 });
    }
    return { size: this.view.getUint32(at + 8, this.little), members };
  }

  private kindAt(at: number): number {
    return (this.view.getUint32(at + 4, this.little) >>> 24) & 0x1f;
  }

  private countAt(at: number): number {
    return this.view.getUint32(at + 4, this.little) & 0xffff;
  }

  private text(offset: number): string {
    const end = this.strings.indexOf(0, offset);
    return end < 0 ? '' : this.strings.toString('latin1', offset, end);
  }
}

function sameStruct(one: Struct, other: Struct, members: readonly string[]): boolean {
  return one.size === other.size && members.every((name) => one.members.get(name)?.bit === other.members.get(name)?.bit);
}

function damaged(found: string): KdumpError {
  return new KdumpError('input', "the kernel's BTF is damaged", { found });
}
