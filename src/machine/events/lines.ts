/** A line of a stream of events. */
export interface InputLine {
  /** From 1. */
  readonly number: number;
  /** Without its line end, which may be LF or CRLF; only the beginning of a line that is too long. */
  readonly text: string;
  /** `cut`: the stream ended before the line did. `too long`: more bytes than are kept. */
  readonly state: 'whole' | 'cut' | 'too long';
}

/** Longest line, in bytes: a change file's document with all properties of a CPU is a tenth of that. */
export const MAX_EVENT_LINE: number = 1 << 20;
const KEPT_OF_LONG_LINE = 256;
const NEWLINE = 0x0a;

/** Splits what arrives in pieces into lines. Memory is bounded: of a line that is too long only the beginning is kept. */
export class LineSplitter {
  private pieces: Uint8Array[] = [];
  private length = 0;
  private tooLong = false;
  private number = 0;

  private readonly longest: number;

  /** @param longest line that is kept whole, in bytes */
  constructor(longest: number = MAX_EVENT_LINE) {
    this.longest = longest;
  }

  /** The lines that `bytes` brings to their end. */
  push(bytes: Uint8Array): InputLine[] {
    const lines: InputLine[] = [];
    for (let start = 0; start < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline;
      this.keep(bytes.subarray(start, end));
      if (newline >= 0) lines.push(this.take('whole'));
      start = end + 1;
    }
    return lines;
  }

  /** The line that the end of the stream cuts, if there is one. */
  end(): InputLine | undefined {
    return this.length === 0 ? undefined : this.take('cut');
  }

  private keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.length += piece.length;
    if (this.length > this.longest) {
      if (!this.tooLong) this.pieces = [Buffer.concat([...this.pieces, piece]).subarray(0, KEPT_OF_LONG_LINE)];
      this.tooLong = true;
    } else this.pieces.push(Uint8Array.from(piece));
  }

  private take(state: 'whole' | 'cut'): InputLine {
    const text = Buffer.concat(this.pieces).toString('utf8');
    const line: InputLine = {
      number: (this.number += 1),
      text: text.endsWith('\r') ? text.slice(0, -1) : text,
      state: this.tooLong ? 'too long' : state,
    };
    this.pieces = [];
    this.length = 0;
    this.tooLong = false;
    return line;
  }
}
