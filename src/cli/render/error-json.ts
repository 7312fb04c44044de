import type { ErrorCode, KdumpErrorKind } from '../../codes.js';
import { KdumpError, hex, printable } from '../../errors.js';

/** What `--json` prints where a command fails. */
export interface ErrorJson {
  error: {
    code: ErrorCode | 'bug';
    kind: KdumpErrorKind | 'bug';
    /** The line on standard error, without the name of the program. */
    message: string;
    file: string | null;
    segment: string | null;
    offset: string | null;
    found: string | null;
    expected: string | null;
    remedy: string | null;
    forcible: boolean;
  };
}

/** @param error whatever was thrown; what is no KdumpError is a bug of this program */
export function errorToJson(error: unknown): ErrorJson {
  const [code, kind, message] =
    error instanceof KdumpError ? [error.code, error.kind, error.message] : (['bug', 'bug', bugReport(error)] as const);
  const { file, segment, offset, found, expected, remedy, forcible } = error instanceof KdumpError ? error.details : {};
  return {
    error: {
      code,
      kind,
      message,
      file: file ?? null,
      segment: segment ?? null,
      offset: offset === undefined ? null : hex(offset),
      found: found ?? null,
      expected: expected ?? null,
      remedy: remedy ?? null,
      forcible: forcible === true,
    },
  };
}

function bugReport(error: unknown): string {
  return `a bug: ${printable(error instanceof Error ? error.message : String(error))}; please report it with the command line`;
}
