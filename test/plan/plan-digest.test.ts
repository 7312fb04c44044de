import { describe, expect, test } from 'vitest';
import type { KdumpImage } from '../../src/image/image.js';
import type { Change } from '../../src/machine/change.js';
import { rangeOfSize } from '../../src/memory/range.js';
import { planHotplug } from '../../src/plan/plan.js';
import { DIGEST_AT, build, partsOf, type Built, type PartOptions } from '../helpers/build-image.js';
import { imageOpener } from '../helpers/open-built.js';
import { scratchFolder } from '../helpers/run.js';
import { thrown } from '../helpers/thrown.js';

const open = imageOpener(scratchFolder());
const MEMORY = rangeOfSize(0x80000000n, 0x1000000n);
const ADD: Change[] = [{ action: 'add', memory: MEMORY }];
const NOTHING: Change[] = [{ action: 'add', memory: rangeOfSize(0x100000n, 0x1000n) }];

const digestOf = (image: KdumpImage, changes = ADD, force = false): string => planHotplug(image, changes, { force }).digest;
const codes = (image: KdumpImage, changes: readonly Change[], force = false): string[] =>
  planHotplug(image, changes, { force }).findings.map(({ code }) => code);

/** A kexec_load image of ppc64le, whose purgatory checks its digest. */
const built = (options: PartOptions = {}): Built => build(partsOf('ppc64le', options));

function without({ parts, segments }: Built, role: string): Built {
  return { parts, segments: segments.filter((segment) => segment.role !== role) };
}

/** With the bytes of the purgatory changed. */
function withPurgatory(image: Built, change: (bytes: Buffer) => void): Built {
  change(image.segments.find(({ role }) => role === 'purgatory')?.bytes ?? expect.fail('no purgatory'));
  return image;
}

describe('the digest', () => {
  test('is rewritten where it covers what changes', () => {
    const plan = planHotplug(open.packed(built()), ADD, {});
    expect(plan.digest).toBe('rewritten');
    expect(plan.segments.map(({ name }) => name)).toEqual(['elfcorehdr', 'fdt', 'purgatory']);
    const purgatory = plan.segments[2] ?? expect.fail('no purgatory');
    const changed = [...purgatory.before.keys()].filter((at) => purgatory.before[at] !== purgatory.after[at]);
    expect(changed.every((at) => at >= DIGEST_AT && at < DIGEST_AT + 32)).toBe(true);
    expect(changed.length).toBeGreaterThan(16);
  });

  test('is unaffected where it does not, or nothing changes', () => {
    expect(digestOf(open.packed(built({ hotplug: true })))).toBe('unaffected');
    expect(digestOf(open.packed(built()), NOTHING)).toBe('unaffected');
  });

  test('that is not in the purgatory: refused, since purgatory would reject the image', () => {
    const image = open.packed(withPurgatory(built(), (bytes) => bytes.fill(0, DIGEST_AT, DIGEST_AT + 32)));
    expect(thrown(() => digestOf(image))).toMatchObject({
      kind: 'refused',
      details: {
        segment: 'purgatory',
        found: 'no SHA-256 of the covered segments in the segment',
        remedy: expect.stringContaining('reload') as string,
      },
    });
    expect(digestOf(image, NOTHING)).toBe('unaffected');
  });

  test('that did not match before is ignored where kexec_file_load made a purgatory that never looks', () => {
    const image = open.packed(withPurgatory(built({ fileLoaded: true }), (bytes) => bytes.fill(0, DIGEST_AT, DIGEST_AT + 32)));
    expect(digestOf(image)).toBe('ignored');
  });
});

describe('an image without a region table', () => {
  test('that has no purgatory has no digest', () => {
    const image = open.packed(without(built(), 'purgatory'));
    expect(digestOf(image)).toBe('absent');
    expect(codes(image, ADD)).not.toContain('no-region-table');
  });

  test('whose purgatory has none is changed with a warning', () => {
    const image = open.packed(withPurgatory(built(), (bytes) => bytes.fill(0, 0x100, 0x200)));
    expect(digestOf(image)).toBe('absent');
    expect(codes(image, ADD)).toContain('no-region-table');
    expect(codes(image, NOTHING)).not.toContain('no-region-table');
  });

  test('whose table names a segment that is not in the image: refused, unless it is forced', () => {
    const image = open.packed(without(built(), 'initrd'));
    expect(thrown(() => digestOf(image))).toMatchObject({
      kind: 'refused',
      problem: "the purgatory's digest covers memory that is no segment of this image",
      details: { segment: 'purgatory', forcible: true },
    });
    expect(digestOf(image, NOTHING)).toBe('absent');
    expect(codes(image, ADD, true)).toContain('no-region-table');
  });

  test('that was found by its content, without its purgatory: refused, unless it is forced', () => {
    const image = open.raw(without(built(), 'purgatory'));
    expect(thrown(() => digestOf(image))).toMatchObject({
      kind: 'refused',
      problem: 'the purgatory was not found, so its digest might cover what changes',
      details: { remedy: 'give the segment table with --kexec-log', forcible: true },
    });
    expect(codes(image, ADD, true)).toContain('no-region-table');
    expect(digestOf(image, NOTHING)).toBe('absent');
  });

  test('that was found by its content, of an architecture that need not have a purgatory: a warning', () => {
    const image = open.raw(without(build(partsOf('aarch64')), 'purgatory'));
    expect(digestOf(image)).toBe('absent');
    expect(codes(image, ADD)).toContain('no-region-table');
  });
});
