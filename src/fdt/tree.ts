import { dataView } from '../bytes/byte-order.js';
import { hex } from '../errors.js';
import {
  FDT_BEGIN_NODE,
  FDT_END,
  FDT_END_NODE,
  FDT_NOP,
  FDT_PROP,
  FDT_VERSION,
  MAX_DEPTH,
  MAX_NAME_LENGTH,
  PROPERTY_HEADER_SIZE,
  TOKEN_SIZE,
  padded,
} from './constants.js';
import { fdtError } from './fdt-error.js';
import type { FdtHeader } from './header.js';
import { GrowingIndex } from './growing-index.js';

/**
 * Where everything in a structure block lies, as columns over the nodes and properties in their order in the block. A large machine has
 * 2,000 CPU nodes of 42 properties, so no object is made for any of them.
 *
 * Offsets count from the first byte of the blob. A node's properties all precede its children and its children all precede its next sibling,
 * so node n has the properties `firstProperty[n]` up to `firstProperty[n + 1]`, and its descendants are n + 1 up to `subtreeEnd[n]`.
 */
export interface FdtTree {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly header: FdtHeader;
  readonly nodeCount: number;
  /** Offset of FDT_BEGIN_NODE. */
  readonly nodeStart: Uint32Array;
  /** Offset of FDT_END_NODE. */
  readonly nodeEnd: Uint32Array;
  /** Offset after the name and its padding. */
  readonly nameEnd: Uint32Array;
  readonly nodeParent: Uint32Array;
  readonly subtreeEnd: Uint32Array;
  /** One entry more than there are nodes. */
  readonly firstProperty: Uint32Array;
  /** Offset of FDT_PROP. */
  readonly propertyStart: Uint32Array;
  /** Property names decoded so far, by offset in the strings block: most of the properties of a large tree share a few dozen names. */
  readonly propertyNames: Map<number, string>;
  /** Children by name, of nodes where one was looked up: looking up each of many siblings takes linear time in all. */
  readonly childrenByName: Map<number, ReadonlyMap<string, number>>;
}

/**
 * Checks the structure block token by token and notes where everything is. One pass, no recursion.
 *
 * Source: Devicetree specification v0.4 section 5.4; libfdt `fdt_check_full`. Stricter than libfdt: nothing may follow FDT_END, properties
 * precede children, at most 64 levels, names of at most 255 bytes.
 *
 * @param bytes exactly the blob; the places of its blocks were checked
 * @throws KdumpError `input`, segment `fdt`
 */
export function indexTree(bytes: Uint8Array, header: FdtHeader): FdtTree {
  const view = dataView(bytes);
  const end = header.offStruct + header.sizeStruct;
  const names = new PropertyNames(bytes, header);

  const nodeStart = new GrowingIndex();
  const nodeEnd = new GrowingIndex();
  const nameEnd = new GrowingIndex();
  const nodeParent = new GrowingIndex();
  const subtreeEnd = new GrowingIndex();
  const firstProperty = new GrowingIndex();
  // Nine of ten tokens are properties: this column has room for all that could be, so that it never has to grow.
  const propertyStart = new Uint32Array(Math.floor(header.sizeStruct / PROPERTY_HEADER_SIZE) + 1);
  let propertyCount = 0;

  let current = -1;
  let nodeCount = 0;
  let depth = 0;
  let position = header.offStruct;
  for (;;) {
    if (position + TOKEN_SIZE > end)
      throw fdtError('structure block ends without FDT_END', position, { expected: `a token before ${hex(end)}` });
    const token = view.getUint32(position);
    switch (token) {
      case FDT_PROP: {
        if (position + PROPERTY_HEADER_SIZE > end) throw fdtError('property is cut short by the end of the structure block', position);
        if (current < 0 || depth === 0) throw fdtError('property outside the root node', position);
        if (current !== nodeCount - 1) throw fdtError('property after a child node', position, { expected: 'properties before children' });
        const length = view.getUint32(position + 4);
        const room = end - position - PROPERTY_HEADER_SIZE;
        if (length > room || padded(length) > room) {
          throw fdtError('property value passes the end of the structure block', position + 4, {
            found: `length ${hex(length)}`,
            expected: `at most ${hex(room)}`,
          });
        }
        const nameOffset = view.getUint32(position + 8);
        if (nameOffset > names.lastGood) names.check(nameOffset, position + 8);
        propertyStart[propertyCount] = position;
        propertyCount += 1;
        position += PROPERTY_HEADER_SIZE + padded(length);
        break;
      }
      case FDT_BEGIN_NODE: {
        if (depth === 0 && nodeCount > 0) throw fdtError('second root node', position);
        if (depth === MAX_DEPTH) throw fdtError('nodes are nested too deep', position, { expected: `at most ${MAX_DEPTH} levels` });
        const nul = nameTerminator(bytes, position + TOKEN_SIZE, end);
        if (depth === 0 && nul !== position + TOKEN_SIZE)
          throw fdtError('root node has a name', position + TOKEN_SIZE, { expected: 'an empty name' });
        nodeStart.push(position);
        nodeParent.push(depth === 0 ? 0 : current);
        firstProperty.push(propertyCount);
        nodeEnd.push(0);
        subtreeEnd.push(0);
        current = nodeCount;
        nodeCount += 1;
        depth += 1;
        position = header.offStruct + padded(nul + 1 - header.offStruct);
        nameEnd.push(position);
        break;
      }
      case FDT_END_NODE:
        if (depth === 0) throw fdtError('FDT_END_NODE without a node', position);
        nodeEnd.set(current, position);
        subtreeEnd.set(current, nodeCount);
        current = nodeParent.at(current);
        depth -= 1;
        position += TOKEN_SIZE;
        break;
      case FDT_NOP:
        // In front of it the specification allows them (5.4.2).
        if (depth === 0 && nodeCount > 0) throw fdtError('FDT_NOP behind the root node', position, { expected: 'FDT_END' });
        position += TOKEN_SIZE;
        break;
      case FDT_END:
        if (depth > 0) throw fdtError('node without FDT_END_NODE', nodeStart.at(current), { found: `FDT_END at ${hex(position)}` });
        if (nodeCount === 0) throw fdtError('device tree has no root node', position);
        if (header.version >= FDT_VERSION && position + TOKEN_SIZE !== end)
          throw fdtError('data after FDT_END in the structure block', position + TOKEN_SIZE, {
            found: `${end - position - TOKEN_SIZE} bytes`,
          });
        firstProperty.push(propertyCount);
        return {
          bytes,
          view,
          header: { ...header, sizeStruct: position + TOKEN_SIZE - header.offStruct },
          nodeCount,
          nodeStart: nodeStart.values(),
          nodeEnd: nodeEnd.values(),
          nameEnd: nameEnd.values(),
          nodeParent: nodeParent.values(),
          subtreeEnd: subtreeEnd.values(),
          firstProperty: firstProperty.values(),
          propertyStart: propertyStart.slice(0, propertyCount),
          propertyNames: new Map(),
          childrenByName: new Map(),
        };
      default:
        throw fdtError('unknown token in the structure block', position, { found: token });
    }
  }
}

function nameTerminator(bytes: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + MAX_NAME_LENGTH + 1);
  for (let at = start; at < limit; at += 1) if (bytes[at] === 0) return at;
  throw limit === end
    ? fdtError('node name passes the end of the structure block', start)
    : fdtError('node name is too long', start, { expected: `at most ${MAX_NAME_LENGTH} bytes` });
}

/** Names of properties in the strings block. */
class PropertyNames {
  /** A name at this offset or before it is certainly good; -1 where each has to be looked at, since the block has an over-long string. */
  readonly lastGood: number;
  private readonly strings: Uint8Array;
  private readonly lastNul: number;

  constructor(bytes: Uint8Array, { offStrings, sizeStrings }: FdtHeader) {
    this.strings = bytes.subarray(offStrings, offStrings + sizeStrings);
    this.lastNul = this.strings.lastIndexOf(0);
    this.lastGood = longestString(this.strings) > MAX_NAME_LENGTH ? -1 : this.lastNul;
  }

  /** Refuses the name at `nameOffset` of the property whose name offset stands at `at`, if it is not a good one. */
  check(nameOffset: number, at: number): void {
    if (nameOffset > this.lastNul) {
      throw fdtError('property name is not a terminated string of the strings block', at, {
        found: nameOffset,
        expected: this.lastNul < 0 ? 'a strings block with a name in it' : `at most ${hex(this.lastNul)}`,
      });
    }
    if (!this.strings.subarray(nameOffset, nameOffset + MAX_NAME_LENGTH + 1).includes(0)) {
      throw fdtError('property name is too long', at, { found: nameOffset, expected: `at most ${MAX_NAME_LENGTH} bytes` });
    }
  }
}

function longestString(strings: Uint8Array): number {
  let longest = 0;
  for (let start = 0, nul = strings.indexOf(0); nul >= 0; start = nul + 1, nul = strings.indexOf(0, start)) {
    longest = Math.max(longest, nul - start);
  }
  return longest;
}
