/*
 * Device tree blobs from a readable description, good ones and damaged ones: the builder checks nothing.
 */

export interface Prop {
  readonly prop: string;
  readonly value: Uint8Array;
}

export interface Node {
  readonly node: string;
  readonly items: readonly Item[];
}

/** Words of the structure block as they are. */
export interface Raw {
  readonly words: readonly number[];
}

export type Item = Prop | Node | Raw;

export type BlockName = 'reserve' | 'struct' | 'strings';

export interface BlobOptions {
  /** Whole structure block; default: the root, then FDT_END. */
  readonly struct?: readonly Item[];
  readonly reservations?: readonly (readonly [bigint, bigint])[];
  /** Order of the blocks. */
  readonly order?: readonly BlockName[];
  /** Bytes of 0xaa in front of each block, before it is aligned. */
  readonly gap?: number;
  /** Bytes of 0xbb behind the last block. */
  readonly slack?: number;
  /** Bytes of the strings block in front of the names that the tree uses. */
  readonly deadStrings?: string;
  readonly bootCpuId?: number;
  /** Last words on the header, by place in words. */
  readonly header?: Readonly<Record<number, number>>;
}

export const TOKENS = { begin: 1, endNode: 2, prop: 3, nop: 4, end: 9 } as const;

export const NOP: Raw = raw(TOKENS.nop);
export const END: Raw = raw(TOKENS.end);

export function node(name: string, ...items: readonly Item[]): Node {
  return { node: name, items };
}

export function prop(name: string, value: Uint8Array | string | readonly number[] = ''): Prop {
  return { prop: name, value: typeof value === 'string' ? text(value) : value instanceof Uint8Array ? value : cells(...value) };
}

export function raw(...words: readonly number[]): Raw {
  return { words };
}

/** A terminated string; the empty one is no byte at all. */
export function text(value: string): Uint8Array {
  return value === '' ? new Uint8Array() : new Uint8Array(Buffer.from(`${value}\0`, 'latin1'));
}

export function cells(...values: readonly number[]): Uint8Array {
  return bigEndian(values);
}

function bigEndian(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value);
  return bytes;
}

export function buildFdt(root: readonly Item[], options: BlobOptions = {}): Uint8Array {
  const { reservations = [], order = ['reserve', 'struct', 'strings'], gap = 0, slack = 0, deadStrings = '', header = {} } = options;
  const strings = new Strings(deadStrings);
  const blocks: Record<BlockName, Buffer> = {
    struct: Buffer.concat(structParts(options.struct ?? [node('', ...root), END], strings)),
    strings: Buffer.alloc(0),
    reserve: Buffer.alloc((reservations.length + 1) * 16),
  };
  blocks.strings = strings.bytes();
  for (const [index, [address, size]] of reservations.entries()) {
    blocks.reserve.writeBigUInt64BE(address, index * 16);
    blocks.reserve.writeBigUInt64BE(size, index * 16 + 8);
  }

  const parts: Buffer[] = [Buffer.alloc(40)];
  const start: Record<BlockName, number> = { reserve: 0, struct: 0, strings: 0 };
  let size = 40;
  for (const name of order) {
    const alignment = { reserve: 8, struct: 4, strings: 1 }[name];
    const next = Math.ceil((size + gap) / alignment) * alignment;
    parts.push(Buffer.alloc(next - size, 0xaa), blocks[name]);
    start[name] = next;
    size = next + blocks[name].length;
  }
  parts.push(Buffer.alloc(slack, 0xbb));
  const blob = Buffer.concat(parts);
  const words = [
    0xd00dfeed,
    blob.length,
    start.struct,
    start.strings,
    start.reserve,
    17,
    16,
    options.bootCpuId ?? 0,
    blocks.strings.length,
    blocks.struct.length,
  ];
  for (const [index, word] of words.entries()) blob.writeUInt32BE(header[index] ?? word, index * 4);
  return new Uint8Array(blob);
}

class Strings {
  #bytes: string;
  readonly #offsets = new Map<string, number>();

  constructor(dead: string) {
    this.#bytes = dead;
  }

  offset(name: string): number {
    let offset = this.#offsets.get(name);
    if (offset === undefined) {
      offset = this.#bytes.length;
      this.#offsets.set(name, offset);
      this.#bytes += `${name}\0`;
    }
    return offset;
  }

  bytes(): Buffer {
    return Buffer.from(this.#bytes, 'latin1');
  }
}

function structParts(items: readonly Item[], strings: Strings): Buffer[] {
  return items.flatMap((item) => {
    if ('words' in item) return [Buffer.from(bigEndian(item.words))];
    if ('prop' in item) return [Buffer.from(cells(TOKENS.prop, item.value.length, strings.offset(item.prop))), aligned(item.value)];
    return [
      Buffer.from(cells(TOKENS.begin)),
      aligned(Buffer.from(`${item.node}\0`, 'latin1')),
      ...structParts(item.items, strings),
      Buffer.from(cells(TOKENS.endNode)),
    ];
  });
}

function aligned(bytes: Uint8Array): Buffer {
  const result = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
  result.set(bytes);
  return result;
}
