import { KdumpError } from '../../errors.js';
import { excerpt } from '../../text/excerpt.js';
import type { ChangeAction } from '../change.js';

/**
 * What a DLPAR string asks for. `index` is that of a dynamic reconfiguration connector; with a `count` it is the first of so many memory blocks
 * that follow each other in the device tree.
 */
export interface DlparRequest {
  readonly resource: 'memory' | 'cpu';
  readonly action: ChangeAction;
  readonly index: number;
  readonly count: number;
}

/** Most memory blocks that one string may name: 16 TiB in the usual size. */
export const MAX_DLPAR_COUNT: number = 1 << 16;

const RESOURCES = ['memory', 'cpu'];
const OTHER_RESOURCES = ['pmem', 'dt', 'phb', 'slot', 'pci'];
/** kstrtou32() with base 0 takes a leading 0 for octal; nobody means that. */
const U32 = /^(?:0x[0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9})$/;
const FORM = 'memory|cpu add|remove index <drc-index>, or memory add|remove indexed-count <count> <drc-index>';

/** Whether a line is meant to be such a string. */
export function looksLikeDlpar(text: string): boolean {
  const word = /^\s*([a-z]+)\s/.exec(`${text} `)?.[1] ?? '';
  return RESOURCES.includes(word) || OTHER_RESOURCES.includes(word);
}

/**
 * A string as it is written to /sys/kernel/dlpar (dlpar_store in arch/powerpc/platforms/pseries/dlpar.c).
 *
 * @param isCut the stream ended here: a connector counts only with all its eight digits
 * @throws KdumpError `usage` for one of another form; `refused` for one that does not say which connector is meant
 */
export function parseDlpar(text: string, isCut = false): DlparRequest {
  if (isCut && !/ 0x[0-9a-fA-F]{8}$/.test(text)) {
    throw new KdumpError('usage', 'the input ends in the middle of a line', { found: excerpt(text), expected: 'a line end behind it' });
  }
  const [resource = '', action = '', kind = '', ...operands] = text.trim().split(/\s+/);
  if (OTHER_RESOURCES.includes(resource)) {
    throw new KdumpError('refused', 'only memory and CPUs are in a kdump image', { found: excerpt(resource), expected: 'memory or cpu' });
  }
  if (resource !== 'memory' && resource !== 'cpu') throw wrong(resource);
  if (action !== 'add' && action !== 'remove') throw wrong(action);
  if (kind === 'count') {
    throw new KdumpError('refused', 'a count does not say which connectors the machine took', {
      found: excerpt(text.trim()),
      expected: 'index or indexed-count',
      remedy: 'sync brings the image to the state of the machine',
    });
  }
  if (kind !== 'index' && !(kind === 'indexed-count' && resource === 'memory')) throw wrong(kind);
  if (operands.length !== (kind === 'index' ? 1 : 2)) throw wrong(operands.join(' '));
  const count = kind === 'index' ? 1 : number(operands[0] ?? '');
  const indexText = operands.at(-1) ?? '';
  if (count < 1 || count > MAX_DLPAR_COUNT) {
    throw new KdumpError('usage', 'not a number of memory blocks', {
      found: excerpt(operands[0] ?? ''),
      expected: `1 to ${MAX_DLPAR_COUNT}`,
    });
  }
  return { resource, action, index: number(indexText), count };
}

function number(text: string): number {
  const value = U32.test(text) ? Number(text) : NaN;
  if (!(value <= 0xffff_ffff)) {
    throw new KdumpError('usage', 'not a 32-bit number', { found: excerpt(text), expected: 'decimal, or 0x and hexadecimal digits' });
  }
  return value;
}

function wrong(found: string): KdumpError {
  return new KdumpError('usage', 'not a DLPAR string', { found: found === '' ? 'its end' : excerpt(found), expected: FORM });
}
