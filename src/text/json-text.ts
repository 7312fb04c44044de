/** What JSON.stringify leaves as it is, and a terminal does not merely show: as {@link printable} has it, all of it in strings of the document. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const ESCAPED = /[^\n -~]/;

/**
 * A value as JSON that can be shown on a terminal: the same document as of JSON.stringify, with escapes for control and format characters, line
 * and paragraph separators and unpaired surrogates.
 *
 * @param indent blanks for each level; on one line without it
 */
export function jsonText(value: object, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  return ESCAPED.test(text) ? text.replace(UNSEEN, escapeUnits) : text;
}

/** A character above U+FFFF is written as the two units of its surrogate pair (RFC 8259, section 7). */
function escapeUnits(character: string): string {
  if (character === '\n') return character;
  return Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}
