import { expect } from 'vitest';
import { KdumpError } from '../../src/errors.js';

/** The KdumpError that `action` throws. Anything else, or nothing, fails the test. */
export function thrown(action: () => unknown): KdumpError {
  let result: unknown;
  try {
    result = action();
  } catch (error) {
    expect(error).toBeInstanceOf(KdumpError);
    expect((error as KdumpError).message).not.toContain('\n');
    return error as KdumpError;
  }
  const shown = JSON.stringify(result, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) as string | undefined;
  return expect.fail(`did not throw, but returned ${shown?.slice(0, 200) ?? 'nothing'}`);
}
