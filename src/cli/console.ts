import type { Theme } from './theme.js';

/** Where a command's words go: results to standard output, everything else to standard error. */
export interface Console {
  readonly theme: Theme;
  /** A result, in lines. */
  print(text: string): void;
  /** For people only; silent with --quiet. */
  note(text: string): void;
  /** For people who asked for more with --verbose. */
  detail(text: string): void;
}
