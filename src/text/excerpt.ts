import { printable } from '../errors.js';

const LONGEST = 60;

/** Hostile text for an error message: in quotes, on one line, and cut after 60 characters. */
export function excerpt(text: string): string {
  return text.length > LONGEST ? `"${printable(text.slice(0, LONGEST))}…" (${text.length} characters)` : `"${printable(text)}"`;
}
