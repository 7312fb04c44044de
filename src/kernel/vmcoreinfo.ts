import { alignUp } from '../bytes/align.js';
import { dataView, type ByteOrder } from '../bytes/byte-order.js';
import { ADDRESS_SPACE_END, SMALLEST_PAGE, rangeOfSize } from '../memory/range.js';
import type { MemorySource } from './source.js';

/** Name and its size of the note (VMCOREINFO_NOTE_NAME in include/linux/vmcore_info.h). */
const NAME = Buffer.from('VMCOREINFO\0', 'latin1');
const NAME_AT = 12;
const TEXT_AT = 24;
/** VMCOREINFO_BYTES is a page, of 64 KiB at most. */
const LONGEST_TEXT = 0x10000;
const PAGE = Number(SMALLEST_PAGE);
const LINE = /^([A-Za-z][\w-]*)(?:\(([^()]*)\))?=(.*)$/;

/** What a kernel says of itself for those who read its memory (Documentation/admin-guide/kdump/vmcoreinfo.rst). */
export class Vmcoreinfo {
  private readonly values = new Map<string, string>();

  readonly address: bigint;
  readonly order: ByteOrder;

  /**
   * @param address physical, of the note
   * @param order of the kernel, as the note has it
   */
  constructor(address: bigint, order: ByteOrder, text: string) {
    this.address = address;
    this.order = order;
    for (const line of text.split('\n')) {
      const [, kind = '', name, value] = LINE.exec(line) ?? [];
      if (value !== undefined) this.values.set(name === undefined ? kind : `${kind}(${name})`, value);
    }
  }

  get release(): string {
    return this.values.get('OSRELEASE') ?? '';
  }

  get buildId(): string | null {
    return this.values.get('BUILD-ID') ?? null;
  }

  /** Virtual address. */
  symbol(name: string): bigint | undefined {
    return unsigned(this.values.get(`SYMBOL(${name})`), 16);
  }

  offset(name: string): number | undefined {
    return small(this.values.get(`OFFSET(${name})`));
  }

  size(name: string): number | undefined {
    return small(this.values.get(`SIZE(${name})`));
  }

  /** NUMBER: decimal, with a sign where it has one, or hexadecimal with 0x. */
  number(name: string): bigint | undefined {
    const text = this.values.get(`NUMBER(${name})`);
    if (text?.startsWith('0x') === true) return unsigned(text.slice(2), 16);
    return text?.startsWith('-') === true ? negative(unsigned(text.slice(1), 10)) : unsigned(text, 10);
  }
}

function negative(value: bigint | undefined): bigint | undefined {
  return value === undefined ? undefined : -value;
}

function unsigned(text: string | undefined, base: 10 | 16): bigint | undefined {
  if (text === undefined || !(base === 16 ? /^[0-9a-fA-F]{1,16}$/ : /^[0-9]{1,20}$/).test(text)) return undefined;
  return BigInt(base === 16 ? `0x${text}` : text);
}

function small(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}

/**
 * Where vmcoreinfo notes may begin in `memory`, on pages: a kernel makes its own at boot (crash_save_vmcoreinfo_init() in kernel/vmcore_info.c), and
 * memory may hold those of boots before. All memory is looked through.
 */
export function findVmcoreinfo(memory: MemorySource): bigint[] {
  const found: bigint[] = [];
  for (const { start: first, end } of memory.stored({ start: 0n, end: ADDRESS_SPACE_END })) {
    const range = { start: alignUp(first, SMALLEST_PAGE), end };
    if (range.start >= range.end) continue;
    for (const { address, bytes } of memory.chunks(range)) {
      for (let at = 0; at < bytes.length; at += PAGE) if (isVmcoreinfo(bytes, at)) found.push(address + BigInt(at));
    }
  }
  return found;
}

/** The note at `address`; undefined when there is none. */
export function vmcoreinfoAt(memory: MemorySource, address: bigint): Vmcoreinfo | undefined {
  const head = new Uint8Array(TEXT_AT);
  if (!memory.holds(rangeOfSize(address, BigInt(TEXT_AT)))) return undefined;
  memory.readInto(head, address);
  if (!isVmcoreinfo(head, 0)) return undefined;
  const view = dataView(head);
  const order = view.getUint32(0, true) === NAME.length ? 'lsb' : 'msb';
  const length = view.getUint32(4, order === 'lsb');
  if (length === 0 || length > LONGEST_TEXT || !memory.holds(rangeOfSize(address, BigInt(TEXT_AT + length)))) return undefined;
  const text = Buffer.alloc(length);
  memory.readInto(text, address + BigInt(TEXT_AT));
  const note = new Vmcoreinfo(address, order, text.toString('latin1'));
  return note.release === '' ? undefined : note;
}

/** Whether a vmcoreinfo note begins at `at`. */
export function isVmcoreinfo(bytes: Uint8Array, at: number): boolean {
  // Of nearly all pages two bytes tell: the size of the name, in either byte order.
  if (bytes[at] !== NAME.length && bytes[at + 3] !== NAME.length) return false;
  return NAME.equals(bytes.subarray(at + NAME_AT, at + NAME_AT + NAME.length));
}
