import { hex } from '../errors.js';
import { ADDRESS_SPACE_END } from '../memory/range.js';
import type { Change, ChangeAction, CpuOfChange, MemoryChange } from './change.js';
import { parseCpuProperties } from './cpu-properties.js';
import { at, inside, readInteger, readObject, wrongValue } from '../text/json-fields.js';
import { MAX_CPU_ID, parseNumber, parseSize } from '../text/numbers.js';
import type { JsonValue } from '../text/strict-json.js';

/** More nodes no kernel has (CONFIG_NODES_SHIFT is at most 10). */
const MAX_NODE = 1023;

const ACTIONS: ReadonlyMap<string, ChangeAction> = new Map([
  ['add', 'add'],
  ['remove', 'remove'],
  ['online', 'add'],
  ['offline', 'remove'],
]);

/**
 * One change of a change file.
 *
 * @param place where it stands, such as `changes[2]`, for errors
 * @throws KdumpError `usage`
 */
export function parseChange(value: JsonValue, place: string): Change {
  const fields = readObject(value, place, ['action', 'memory', 'cpu']);
  const action = parseAction(fields.get('action'), inside(place, 'action'));
  const memory = fields.get('memory');
  const cpu = fields.get('cpu');
  if (memory !== undefined && cpu !== undefined) throw at(place, 'both memory and cpu in one change', { expected: 'one of them' });
  if (memory !== undefined) return parseMemory(action, memory, inside(place, 'memory'));
  if (cpu !== undefined) return { action, cpu: parseCpu(cpu, inside(place, 'cpu')) };
  throw at(place, 'neither memory nor cpu in a change', { expected: 'one of them' });
}

function parseAction(value: JsonValue | undefined, place: string): ChangeAction {
  const action = typeof value === 'string' ? ACTIONS.get(value) : undefined;
  if (action === undefined) throw wrongValue(value, place, [...ACTIONS.keys()].join(', '));
  return action;
}

function parseMemory(action: ChangeAction, value: JsonValue, place: string): MemoryChange {
  const fields = readObject(value, place, ['start', 'size', 'node']);
  const start = readInteger(fields.get('start'), inside(place, 'start'), parseNumber);
  const memory = { start, end: start + parseSizeFrom(start, fields.get('size'), inside(place, 'size')) };
  const node = fields.get('node');
  return node === undefined ? { action, memory } : { action, memory, node: parseNode(node, inside(place, 'node')) };
}

function parseNode(value: JsonValue, place: string): number {
  const node = readInteger(value, place, parseNumber);
  if (node > MAX_NODE) throw at(place, 'no number of a NUMA node', { found: hex(node), expected: `at most ${MAX_NODE}` });
  return Number(node);
}

function parseCpu(value: JsonValue, place: string): CpuOfChange {
  const fields = readObject(value, place, ['id', 'properties', 'crashNotes']);
  const id = readInteger(fields.get('id'), inside(place, 'id'), parseNumber);
  if (id > MAX_CPU_ID) throw at(inside(place, 'id'), 'CPU id is too large', { found: hex(id), expected: `at most ${hex(MAX_CPU_ID)}` });
  const properties = fields.get('properties');
  const crashNotes = fields.get('crashNotes');
  return {
    id: Number(id),
    ...(properties === undefined ? {} : { properties: parseCpuProperties(properties, inside(place, 'properties')) }),
    ...(crashNotes === undefined ? {} : { crashNotes: parseCrashNotes(crashNotes, inside(place, 'crashNotes')) }),
  };
}

function parseCrashNotes(value: JsonValue, place: string): { address: bigint; size: bigint } {
  const fields = readObject(value, place, ['address', 'size']);
  const address = readInteger(fields.get('address'), inside(place, 'address'), parseNumber);
  return { address, size: parseSizeFrom(address, fields.get('size'), inside(place, 'size')) };
}

function parseSizeFrom(start: bigint, value: JsonValue | undefined, place: string): bigint {
  const size = readInteger(value, place, parseSize);
  if (size === 0n) throw at(place, 'range is empty', { found: '0', expected: 'at least one byte' });
  if (start + size > ADDRESS_SPACE_END) {
    throw at(place, 'range passes the end of the address space', {
      found: hex(size),
      expected: `at most ${hex(ADDRESS_SPACE_END - start)}`,
    });
  }
  return size;
}
