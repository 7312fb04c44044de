import { KdumpError } from '../errors.js';
import { ADDRESS_SPACE_END, rangeOfSize, type Range } from '../memory/range.js';
import { merged } from '../memory/range-set.js';
import type { DirectoryReader } from './device-tree.js';
import { excerpt } from '../text/excerpt.js';
import { sysfsText } from './sysfs-text.js';

/** `memory<N>`, N the number of the block of that size from address 0 on. */
const BLOCK = /^memory([0-9]{1,12})$/;

/**
 * The memory that is offline, from a directory such as /sys/devices/system/memory (Documentation/admin-guide/mm/memory-hotplug.rst): the blocks
 * whose `state` is `offline`, each of `block_size_bytes`.
 *
 * @returns ascending ranges, neighbours joined
 * @throws KdumpError `input` when it is not such a directory
 */
export function readOfflineMemory(reader: DirectoryReader, path: string): Range[] {
  const blockSize = readBlockSize(reader, path);
  const blocks = reader.list(path).flatMap(({ name }) => {
    const number = BLOCK.exec(name)?.[1];
    return number === undefined ? [] : [{ name, start: BigInt(number) * blockSize }];
  });
  if (blocks.length === 0) throw notMemoryBlocks(path, 'memory0', 'no memory blocks', 'directories memory0, memory1, …');
  const offline = blocks.filter(({ name }) => blockState(reader, path, name) === 'offline');
  const beyond = offline.find(({ start }) => start + blockSize > ADDRESS_SPACE_END);
  if (beyond !== undefined) throw notMemoryBlocks(path, beyond.name, 'a block beyond the 64-bit address space', 'a smaller number');
  return [...merged(offline.map(({ start }) => rangeOfSize(start, blockSize)))];
}

/** `block_size_bytes` of such a directory. @throws KdumpError `input` when it is not one */
export function readBlockSize(reader: DirectoryReader, path: string): bigint {
  const size = sysfsText(reader, `${path}/block_size_bytes`);
  if (!/^[0-9a-f]{1,16}$/i.test(size)) throw notMemoryBlocks(path, 'block_size_bytes', excerpt(size), 'a hexadecimal number');
  const blockSize = BigInt(`0x${size}`);
  if (blockSize === 0n || (blockSize & (blockSize - 1n)) !== 0n) throw notMemoryBlocks(path, 'block_size_bytes', size, 'a power of two');
  return blockSize;
}

/** `state` of the block called `name`, such as `online`, `offline` or `going-offline`. */
export function blockState(reader: DirectoryReader, path: string, name: string): string {
  return sysfsText(reader, `${path}/${name}/state`);
}

function notMemoryBlocks(file: string, segment: string, found: string, expected: string): KdumpError {
  return new KdumpError('input', 'not the memory blocks of a machine', {
    file,
    segment,
    found,
    expected,
    remedy: 'give /sys/devices/system/memory or a copy of it',
  });
}
