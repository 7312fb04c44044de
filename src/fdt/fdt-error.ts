import { KdumpError, hex } from '../errors.js';

/** The error for a damaged or unsupported device tree. `offset` counts from the first byte of the blob. */
export function fdtError(
  problem: string,
  offset: number,
  facts: { found?: string | number; expected?: string | number; remedy?: string } = {},
): KdumpError {
  return new KdumpError('input', problem, {
    segment: 'fdt',
    offset,
    ...(facts.found === undefined ? {} : { found: text(facts.found) }),
    ...(facts.expected === undefined ? {} : { expected: text(facts.expected) }),
    ...(facts.remedy === undefined ? {} : { remedy: facts.remedy }),
  });
}

function text(fact: string | number): string {
  return typeof fact === 'number' ? hex(fact) : fact;
}
