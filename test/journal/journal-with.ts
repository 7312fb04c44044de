import type { Journal } from '../../src/journal/journal.js';

export const IDENTITY = { device: 41n, inode: 10n, size: 3000n, birthTime: 7n };

/** A journal of no records of the file {@link IDENTITY}, with `more` in it. */
export function journalWith(more: Partial<Journal> = {}): Journal {
  return {
    kind: 'journal',
    live: false,
    transaction: new Uint8Array(16).fill(9),
    image: IDENTITY,
    bootId: '1'.padStart(36, '0'),
    records: [],
    markers: [],
    ...more,
  };
}
