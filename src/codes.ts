/**
 * What a program that calls this one may tell apart, by the kind of the error. The first of each kind is that of all errors which nobody has to
 * tell apart. docs/json.md says what each means.
 */
export const ERROR_CODES = {
  usage: ['usage'],
  input: ['input', 'not-loaded'],
  refused: ['refused', 'no-room'],
  io: [
    'io',
    'busy',
    'changed',
    'device-failed',
    'exists',
    'interrupted',
    'monitor',
    'no-resources',
    'no-space',
    'not-found',
    'permission',
    'qemu-refused',
    'read-only',
    'too-large',
    'verify-failed',
    'wrong-type',
  ],
} as const;

/**
 * What went wrong, by whose fault it is. The command line maps each kind to one exit code.
 *
 * - `usage`: the command line or a change file is wrong
 * - `input`: the image or another input is damaged, of the wrong kind, or of a kind not supported
 * - `refused`: the change was understood and is not made
 * - `io`: reading or writing failed
 *
 * @useDeclaredType
 */
export type KdumpErrorKind = keyof typeof ERROR_CODES;

/**
 * One of {@link ERROR_CODES}.
 *
 * @useDeclaredType
 */
export type ErrorCode = (typeof ERROR_CODES)[KdumpErrorKind][number];
