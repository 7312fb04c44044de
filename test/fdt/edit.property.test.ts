import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editFdt, type FdtEdit, type NewNode } from '../../src/fdt/edit/edit.js';
import { FdtNode, parseFdt, type Fdt } from '../../src/fdt/fdt.js';
import { nodeName, propertyName, someBlob, someBytes } from './arbitrary.js';
import { edited, modelOf, modelOfBytes } from './model.js';

const CAPACITY = 1 << 20;

const properties = fc.uniqueArray(fc.record({ name: propertyName, value: someBytes }), { selector: ({ name }) => name, maxLength: 4 });
const leaf = fc.record<NewNode>({ name: nodeName, properties });
const newNode: fc.Arbitrary<NewNode> = fc.record({
  name: fc.oneof(nodeName, fc.constant('new@1'), fc.constant('new@2')),
  properties,
  children: fc.uniqueArray(leaf, { selector: ({ name }) => name, maxLength: 2 }),
});

/** expect(...).toEqual takes milliseconds for a few kilobytes. */
function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected)).toBe(0);
}

/** An edit whose node is given by a number, so that it suits any tree. */
type Wish = (fdt: Fdt) => FdtEdit | undefined;

const pick = (fdt: Fdt, seed: number): FdtNode => new FdtNode(fdt.tree, seed % fdt.tree.nodeCount);

const wish: fc.Arbitrary<Wish> = fc.oneof(
  fc.nat().map((seed): Wish => (fdt) => ({ kind: 'removeNode', node: pick(fdt, seed) })),
  fc.tuple(fc.nat(), fc.nat(), newNode).map(([seed, place, node]): Wish => (fdt) => {
    const parent = pick(fdt, seed);
    const places = [undefined, 'properties' as const, ...parent.children()];
    return { kind: 'addNode', parent, after: places[place % places.length], node };
  }),
  fc
    .tuple(fc.nat(), propertyName, someBytes)
    .map(([seed, name, value]): Wish => (fdt) => ({ kind: 'setProperty', node: pick(fdt, seed), name, value })),
  fc.tuple(fc.nat(), propertyName).map(([seed, name]): Wish => (fdt) => ({ kind: 'removeProperty', node: pick(fdt, seed), name })),
  fc
    .tuple(fc.nat(), properties)
    .map(([seed, list]): Wish => (fdt) => ({ kind: 'replaceProperties', node: pick(fdt, seed), properties: list })),
);

/** Drops what contradicts what stands before it, by asking editFdt about the list so far. */
function consistent(fdt: Fdt, wishes: readonly Wish[]): FdtEdit[] {
  const edits: FdtEdit[] = [];
  for (const one of wishes) {
    const next = one(fdt);
    if (next === undefined) continue;
    try {
      editFdt(fdt, [...edits, next], { capacity: CAPACITY });
      edits.push(next);
    } catch {
      continue;
    }
  }
  return edits;
}

describe('on random trees', () => {
  test('no edits give the same bytes', () => {
    fc.assert(
      fc.property(someBlob, (blob) => {
        expectSameBytes(editFdt(parseFdt(blob), [], { capacity: CAPACITY }).bytes, blob);
      }),
      { numRuns: 500 },
    );
  });

  test('random edits do what the model does', () => {
    let applied = 0;
    fc.assert(
      fc.property(someBlob, fc.array(wish, { maxLength: 12 }), (blob, wishes) => {
        const fdt = parseFdt(blob);
        const edits = consistent(fdt, wishes);
        applied += edits.length;
        const result = editFdt(fdt, edits, { capacity: CAPACITY });
        const after = parseFdt(result.bytes);
        expect(modelOf(after.root)).toEqual(edited(fdt.root, edits));
        expect(after.reservations).toEqual(fdt.reservations);
        expect(after.usedSize).toBe(result.usedSize);
        expect(after.header.totalSize).toBe(result.totalSize);
        expect(result.freeSize).toBe(result.totalSize - result.usedSize);
        expectSameBytes(fdt.bytes, blob);
        // Free space keeps its bytes; what was in use and is not any more is zero.
        const kept = Math.max(fdt.usedSize, result.usedSize);
        if (!result.grown) expectSameBytes(result.bytes.subarray(kept), blob.subarray(kept));
        expect(result.bytes.subarray(result.usedSize, kept).every((byte) => byte === 0)).toBe(true);
        // The strings block is only ever appended to.
        const { offStrings, sizeStrings } = fdt.header;
        const strings = result.bytes.subarray(after.header.offStrings, after.header.offStrings + sizeStrings);
        expectSameBytes(strings, blob.subarray(offStrings, offStrings + sizeStrings));
      }),
      { numRuns: 700 },
    );
    expect(applied).toBeGreaterThan(1000);
  });

  test('edits one after the other give the tree of all at once, where they touch different nodes', () => {
    fc.assert(
      fc.property(someBlob, properties, properties, (blob, first, second) => {
        const fdt = parseFdt(blob);
        const last = fdt.tree.nodeCount - 1;
        fc.pre(last > 0);
        const one = (tree: Fdt): FdtEdit => ({ kind: 'replaceProperties', node: new FdtNode(tree.tree, 0), properties: first });
        const two = (tree: Fdt): FdtEdit => ({ kind: 'replaceProperties', node: new FdtNode(tree.tree, last), properties: second });
        const step = parseFdt(editFdt(fdt, [one(fdt)], { capacity: CAPACITY }).bytes);
        const steps = editFdt(step, [two(step)], { capacity: CAPACITY });
        const once = editFdt(fdt, [two(fdt), one(fdt)], { capacity: CAPACITY });
        expect(modelOfBytes(steps.bytes)).toEqual(modelOfBytes(once.bytes));
      }),
      { numRuns: 300 },
    );
  });

  test('a node added and removed again leaves an equivalent tree', () => {
    fc.assert(
      fc.property(someBlob, fc.nat(), newNode, (blob, seed, node) => {
        const fdt = parseFdt(blob);
        const parent = pick(fdt, seed);
        fc.pre(parent.child(node.name) === undefined);
        const added = parseFdt(editFdt(fdt, [{ kind: 'addNode', parent, node }], { capacity: CAPACITY }).bytes);
        const found = new FdtNode(added.tree, parent.index).child(node.name);
        if (found === undefined) throw new Error('not added');
        const removed = editFdt(added, [{ kind: 'removeNode', node: found }], { capacity: CAPACITY });
        expect(modelOfBytes(removed.bytes)).toEqual(modelOf(fdt.root));
      }),
      { numRuns: 500 },
    );
  });
});
