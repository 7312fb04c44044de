import fc from 'fast-check';
import type { BlobOptions, BlockName, Item } from './build.js';
import { NOP, buildFdt, node, prop } from './build.js';

const propertyNames = ['reg', 'foo,reg', 'status', 'phandle', 'g', 'compatible', 'ibm,my-drc-index', 'name'];
const nodeNames = ['a', 'b', 'cpu@0', 'cpu@1', 'memory@0', 'l2-cache', 'x@10', 'node-with-a-long-name@ffffffffffffffff'];

export const someBytes = fc.uint8Array({ maxLength: 40 });
export const propertyName = fc.constantFrom(...propertyNames);
export const nodeName = fc.constantFrom(...nodeNames);

const nops = fc.array(fc.constant(NOP), { maxLength: 1 });
const someProperties = fc
  .uniqueArray(fc.tuple(propertyName, someBytes, nops), { selector: ([name]) => name, maxLength: 5 })
  .map((list) => list.flatMap(([name, value, after]): Item[] => [prop(name, value), ...after]));

function items(depth: number): fc.Arbitrary<Item[]> {
  const children =
    depth === 0
      ? fc.constant<Item[]>([])
      : fc
          .uniqueArray(fc.tuple(nodeName, items(depth - 1), nops), { selector: ([name]) => name, maxLength: 4 })
          .map((list) => list.flatMap(([name, inner, after]): Item[] => [node(name, ...inner), ...after]));
  return fc.tuple(nops, someProperties, children).map(([first, properties, nodes]) => [...first, ...properties, ...nodes]);
}

const orders: BlockName[][] = [
  ['reserve', 'struct', 'strings'],
  ['struct', 'strings', 'reserve'],
  ['strings', 'reserve', 'struct'],
  ['reserve', 'strings', 'struct'],
  ['struct', 'reserve', 'strings'],
  ['strings', 'struct', 'reserve'],
];

const layout: fc.Arbitrary<BlobOptions> = fc.record({
  order: fc.constantFrom(...orders),
  gap: fc.constantFrom(0, 0, 1, 4, 13),
  slack: fc.constantFrom(0, 1, 100, 4000),
  deadStrings: fc.constantFrom('', 'dead\0', 'other,status\0', 'unterminated'),
  reservations: fc.array(fc.tuple(fc.bigInt(0n, 1n << 40n), fc.bigInt(1n, 1n << 30n)), { maxLength: 3 }),
});

/** Good blobs of every block order, with gaps, NOPs, dead strings and free space. */
export const someBlob = fc.tuple(items(3), layout).map(([root, options]) => buildFdt(root, options));
