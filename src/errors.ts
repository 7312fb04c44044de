/**
 * What went wrong, by whose fault it is. The command line maps each kind to one exit code.
 *
 * - `usage`: the command line or a change file is wrong
 * - `input`: the image or another input is damaged, of the wrong kind, or of a kind not supported
 * - `refused`: the change was understood and is not made
 * - `io`: reading or writing failed
 */
export type KdumpErrorKind = 'usage' | 'input' | 'refused' | 'io';

/** What a {@link KdumpError} is about, each where it applies. */
export interface KdumpErrorDetails {
  /** Path of the file, as the user named it. */
  file?: string;
  /** Segment or structure inside the file: `elfcorehdr`, `fdt`, `program header 12`. */
  segment?: string;
  /** Byte offset inside `segment` where there is one, else inside `file`. */
  offset?: bigint | number;
  found?: string;
  expected?: string;
  /** What the reader can do about it. */
  remedy?: string;
  /** `refused` only: `--force` makes the change all the same. */
  forcible?: boolean;
  cause?: unknown;
}

/** The one error this library throws on purpose. Its fields carry what its message says, so that nobody has to match prose. */
export class KdumpError extends Error {
  override readonly name = 'KdumpError';
  readonly kind: KdumpErrorKind;
  readonly problem: string;
  readonly details: Readonly<KdumpErrorDetails>;

  constructor(kind: KdumpErrorKind, problem: string, details: KdumpErrorDetails = {}) {
    super(describe(problem, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.problem = problem;
    this.details = details;
  }

  /** The same error with more of its surroundings named; what it says already stays. */
  within(surroundings: Pick<KdumpErrorDetails, 'file' | 'segment'>): KdumpError {
    return new KdumpError(this.kind, this.problem, { ...surroundings, ...this.details });
  }
}

/** Runs `action`; a KdumpError thrown in it learns the file and segment it happened in. */
export function within<T>(surroundings: Pick<KdumpErrorDetails, 'file' | 'segment'>, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof KdumpError ? error.within(surroundings) : error;
  }
}

export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

function describe(problem: string, { file, segment, offset, found, expected, remedy, forcible }: KdumpErrorDetails): string {
  const place = [
    file === undefined ? '' : printable(file),
    [segment ?? '', offset === undefined ? '' : `offset ${hex(offset)}`].filter(Boolean).join(' '),
  ].filter(Boolean);
  const facts = [found === undefined ? '' : `found ${found}`, expected === undefined ? '' : `expected ${expected}`].filter(Boolean);
  const what = facts.length > 0 ? `${problem}: ${facts.join(', ')}` : problem;
  const advice = [remedy ?? '', forcible === true ? '--force applies it all the same' : ''].filter(Boolean);
  return [...place, [what, ...advice].join('; ')].join(': ');
}

/** Text from a file or the command line, safe to print on one line: control characters and invalid UTF-8 become visible escapes. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffd]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
