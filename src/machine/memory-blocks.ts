import { KdumpError } from '../errors.js';
import { ADDRESS_SPACE_END, rangeOfSize, type Range } from '../memory/range.js';
import { joinedNodes, type NodeRange } from '../memory/node-ranges.js';
import { merged } from '../memory/range-set.js';
import type { DirectoryReader } from './device-tree.js';
import { excerpt } from '../text/excerpt.js';
import { sysfsText } from './sysfs-text.js';

/** `memory<N>`, N the number of the block of that size from address 0 on. */
const BLOCK = /^memory([0-9]{1,12})$/;
const NODE = /^node([0-9]{1,4})$/;

/**
 * The memory that is offline, from a directory such as /sys/devices/system/memory (Documentation/admin-guide/mm/memory-hotplug.rst): the blocks
 * whose `state` is `offline`, each of `block_size_bytes`.
 *
 * @returns ascending ranges, neighbours joined
 * @throws KdumpError `input` when it is not such a directory
 */
export function readOfflineMemory(reader: DirectoryReader, path: string): Range[] {
  const offline = readBlocks(reader, path).filter(({ name }) => blockState(reader, path, name) === 'offline');
  return [...merged(offline.map(({ range }) => range))];
}

/** All blocks, in the order of the directory. */
function readBlocks(reader: DirectoryReader, path: string): { name: string; range: Range }[] {
  const blockSize = readBlockSize(reader, path);
  const blocks = reader.list(path).flatMap(({ name }) => {
    const number = BLOCK.exec(name)?.[1];
    if (number === undefined) return [];
    const start = BigInt(number) * blockSize;
    if (start + blockSize > ADDRESS_SPACE_END)
      throw notMemoryBlocks(path, name, 'a block beyond the 64-bit address space', 'a smaller number');
    return [{ name, range: rangeOfSize(start, blockSize) }];
  });
  if (blocks.length === 0) throw notMemoryBlocks(path, 'memory0', 'no memory blocks', 'directories memory0, memory1, …');
  return blocks;
}

/**
 * The NUMA nodes of memory blocks: each has a link `node<M>` to its own (drivers/base/node.c). One that has several, or none, as in a copy without
 * links, tells nothing.
 *
 * @returns ascending ranges, neighbours of one node joined
 * @throws KdumpError `input` when it is not such a directory
 */
export function readMemoryNodes(reader: DirectoryReader, path: string): NodeRange[] {
  return joinedNodes(
    readBlocks(reader, path).flatMap(({ name, range }) => {
      const nodes = reader.list(`${path}/${name}`).flatMap((entry) => NODE.exec(entry.name)?.[1] ?? []);
      return nodes.length === 1 ? [{ range, node: Number(nodes[0]) }] : [];
    }),
  );
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
