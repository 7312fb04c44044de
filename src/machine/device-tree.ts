import { KdumpError } from '../errors.js';
import type { DirectoryEntry } from '../file/file-system.js';
import { baseName } from '../fdt/tree-node.js';
import { excerpt } from '../text/excerpt.js';

/** A node of a live device tree. */
export interface DeviceTreeNode {
  /** With its unit address, such as `PowerPC,POWER9@8`; the root's is empty. */
  readonly name: string;
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly children: readonly DeviceTreeNode[];
}

/** A device tree as the machine has it now. */
export interface LiveDeviceTree {
  readonly root: DeviceTreeNode;
  /** In a directory such as /proc/device-tree every node has a `name`, which the kernel makes up where its own tree has none. */
  readonly namesAreMadeUp: boolean;
  /** Where it was read, for errors. */
  readonly source?: string | undefined;
}

/** The file access that reading a device tree needs. What it throws comes through unchanged. */
export interface DirectoryReader {
  /** All entries but `.` and `..`, in any order. */
  list(path: string): readonly DirectoryEntry[];
  /** The first `limit` bytes of the file, or all of it where it is shorter. */
  readFile(path: string, limit: number): Uint8Array;
}

/** Deepest node, as for an FDT in the kernel (drivers/of/fdt.c, FDT_MAX_DEPTH). */
export const MAX_DEVICE_TREE_DEPTH = 64;
/** Largest sum of property values, in bytes. */
export const MAX_DEVICE_TREE_BYTES: number = 16 * 1024 * 1024;
/** Most nodes and properties together. */
export const MAX_DEVICE_TREE_ENTRIES = 1_000_000;

/**
 * A device tree from a directory such as /proc/device-tree: a directory is a node, a file in it is a property.
 *
 * Children and properties come sorted by name, since the order of a directory means nothing. Every directory of a live tree holds a
 * file `name`: the kernel makes that property up for each node whose FDT has none (drivers/of/fdt.c, populate_properties), so that
 * a made-up name cannot be told from a real one here.
 *
 * @param path the directory of the root node; /proc/device-tree itself is a link, which the reader's `list` must follow
 * @param only names of the root's children to read, with or without their unit address; all others are left out; default: all of them
 * @throws KdumpError `input`, with the path in `file`, for a link or device in the tree, an impossible name, or a tree beyond the limits
 */
export function readDeviceTreeDirectory(reader: DirectoryReader, path: string, only?: readonly string[]): DeviceTreeNode {
  const root = path.length > 1 ? path.replace(/\/+$/, '') : path;
  const tree = new TreeWalk(reader).node(root === '/' ? '' : root, '', 0, only);
  if (tree.properties.size === 0 && tree.children.length === 0) {
    throw new KdumpError('input', 'no device tree here', {
      file: path,
      found: only === undefined ? 'an empty directory' : `no property and no node named ${only.join(' or ')}`,
      expected: 'a directory such as /proc/device-tree',
    });
  }
  return tree;
}

class TreeWalk {
  private bytesLeft = MAX_DEVICE_TREE_BYTES;
  private entriesLeft = MAX_DEVICE_TREE_ENTRIES;

  private readonly reader: DirectoryReader;

  constructor(reader: DirectoryReader) {
    this.reader = reader;
  }

  node(path: string, name: string, depth: number, only?: readonly string[]): DeviceTreeNode {
    const properties = new Map<string, Uint8Array>();
    const children: DeviceTreeNode[] = [];
    for (const entry of [...this.reader.list(path === '' ? '/' : path)].sort(byName)) {
      if (entry.kind === 'directory' && only?.includes(entry.name) === false && !only.includes(baseName(entry.name))) continue;
      const entryPath = `${path}/${entry.name}`;
      this.admit(entry, entryPath, depth + 1);
      if (entry.kind === 'directory') children.push(this.node(entryPath, entry.name, depth + 1));
      else properties.set(entry.name, this.property(entryPath));
    }
    return { name, properties, children };
  }

  private admit({ name, kind }: DirectoryEntry, path: string, depth: number): void {
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
      throw new KdumpError('input', 'impossible name in a device tree', { file: path, found: excerpt(name) });
    }
    if (kind === 'other') {
      throw new KdumpError('input', 'not part of a device tree', {
        file: path,
        found: 'a link or special file',
        expected: 'directories for nodes, files for properties',
        remedy: 'give the directory of a device tree, such as /proc/device-tree',
      });
    }
    if (kind === 'directory' && depth > MAX_DEVICE_TREE_DEPTH) {
      throw new KdumpError('input', 'device tree is too deep', { file: path, expected: `at most ${MAX_DEVICE_TREE_DEPTH} levels` });
    }
    this.entriesLeft -= 1;
    if (this.entriesLeft < 0) {
      throw new KdumpError('input', 'device tree has too many nodes and properties', {
        file: path,
        expected: `at most ${MAX_DEVICE_TREE_ENTRIES}`,
      });
    }
  }

  private property(path: string): Uint8Array {
    // One byte more than may come, so that a file of just the allowed size can be told from a longer one.
    const value = this.reader.readFile(path, this.bytesLeft + 1);
    this.bytesLeft -= value.length;
    if (this.bytesLeft < 0) {
      throw new KdumpError('input', 'device tree is too large', {
        file: path,
        expected: `property values of at most ${MAX_DEVICE_TREE_BYTES} bytes together`,
      });
    }
    return value;
  }
}

function byName(a: DirectoryEntry, b: DirectoryEntry): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
