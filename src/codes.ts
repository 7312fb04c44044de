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

/** What a program may tell apart of what is found about an image or a plan, in the order of docs/findings.md, which says what each means. */
export const FINDING_CODES = [
  'no-notes',
  'notes-not-first',
  'overlapping-memory',
  'device-memory-listed',
  'crashkernel-listed',
  'backup-missing',
  'backup-elsewhere',
  'fdt-missing',
  'purgatory-missing',
  'segment-outside-crashkernel',
  'elfcorehdr-not-reserved',
  'elfcorehdr-size-stated-short',
  'fdt-not-reserved',
  'elfcorehdr-elsewhere',
  'initrd-elsewhere',
  'no-cpus',
  'cpu-node-cut-short',
  'duplicate-cpu',
  'one-byte-too-long',
  'not-linear-map',
  'partial-load',
  'shared-page',
  'elfcorehdr-full',
  'fdt-full',
  'elfcorehdr-reservation-short',
  'digest-mismatch',
  'digest-ignored',
  'loaded-unknown',
  'not-loaded',
  'image-not-loaded',
  'memory-map-differs',
  'memory-missing',
  'memory-gone',
  'device-memory-left-out',
  'memory-offline',
  'cpu-missing',
  'cpu-gone',
  'cpu-differs',
  'memory-not-compared',
  'cpus-not-compared',
  'cpu-note-missing',
  'cpu-note-unknown',
  'crashkernel-differs',
  'firmware-exact',
  'node-assumed',
  'fdt-grows',
  'elfcorehdr-reservation-extended',
  'no-region-table',
  'change-refused',
  'fewer-notes-than-cpus',
] as const;

/**
 * One of {@link FINDING_CODES}.
 *
 * @useDeclaredType
 */
export type FindingCode = (typeof FINDING_CODES)[number];
