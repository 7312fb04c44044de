import type { Theme } from './render/theme.js';

/** Where a command's words go: results to standard output, everything else to standard error. */
export interface Console {
  /** A result, in lines. */
  print(text: string): void;
  /** A result that has both forms: one JSON document with --json, else text for people. */
  result(json: () => object, text: (theme: Theme) => string): void;
  /** For people only; silent with --quiet. */
  note(text: string): void;
  /** For people who asked for more with --verbose. */
  detail(text: string): void;
}
