import type { PhysicalMemory } from '../memory-source/physical-memory.js';

/** Physical memory of a machine, as this folder needs it. */
export type MemorySource = Pick<PhysicalMemory, 'ranges' | 'stored' | 'holds' | 'readInto' | 'chunks'>;
