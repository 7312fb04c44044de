import { expect } from 'vitest';
import type { KdumpErrorKind } from '../../src/codes.js';
import { KdumpError } from '../../src/errors.js';

/** The KdumpError that `action` throws. */
export function thrownBy(action: () => unknown, kind: KdumpErrorKind): KdumpError {
  let result: unknown;
  try {
    result = action();
  } catch (error) {
    if (!(error instanceof KdumpError)) throw error;
    expect(error.kind).toBe(kind);
    expect(error.message).not.toMatch(/\n/);
    return error;
  }
  throw new Error(`no error, but a result of type ${typeof result}`);
}

export const inputError = (action: () => unknown): KdumpError => thrownBy(action, 'input');
export const refusal = (action: () => unknown): KdumpError => thrownBy(action, 'refused');
