import type { ErrorCode, KdumpErrorKind } from './codes.js';

/** What a {@link KdumpError} is about, each where it applies. */
export interface KdumpErrorDetails {
  /** One of the codes of the error's kind; without it the first of them. */
  code?: ErrorCode | undefined;
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
  /** What a program may tell apart. */
  readonly code: ErrorCode;
  readonly problem: string;
  readonly details: Readonly<KdumpErrorDetails>;

  constructor(kind: KdumpErrorKind, problem: string, details: KdumpErrorDetails = {}) {
    super(printable(describe(problem, details)), details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.code = details.code ?? kind;
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
  const place = [file ?? '', [segment ?? '', offset === undefined ? '' : `offset ${hex(offset)}`].filter(Boolean).join(' ')].filter(
    Boolean,
  );
  const facts = [found === undefined ? '' : `found ${found}`, expected === undefined ? '' : `expected ${expected}`].filter(Boolean);
  const what = facts.length > 0 ? `${problem}: ${facts.join(', ')}` : problem;
  const advice = [remedy ?? '', forcible === true ? '--force applies it all the same' : ''].filter(Boolean);
  return [...place, [what, ...advice].join('; ')].join(': ');
}

/** Nothing but what every terminal shows as it is: most of what is printed. */
const PLAIN = /^[ -~]*$/;

/**
 * Text from a file or the command line, safe to print on one line: what a terminal would act on, show nothing for, or take as a change of direction
 * becomes a visible escape. These are the control and format characters, line and paragraph separators and unpaired surrogates of Unicode, and the
 * character that stands for invalid UTF-8.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\ufffd]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const digits = code.toString(16);
    if (code < 0x100) return `\\x${digits.padStart(2, '0')}`;
    return code < 0x1_0000 ? `\\u${digits.padStart(4, '0')}` : `\\u{${digits}}`;
  });
}
