import type { Theme } from './theme.js';

/** Rows as columns two spaces apart; `right` are the columns aligned to the right. Cells have no colour yet: it would count as width. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => (widths[index] = Math.max(widths[index] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, index) => (right.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/**
 * A long line for people: between words, on a terminal only, with what follows the first line indented. Elsewhere it stays one line, for grep.
 * It has no colour yet.
 */
export function wrapped(text: string, { isTerminal, columns: width }: Theme, indent = 2): string {
  if (!isTerminal || text.length <= width) return text;
  const lines: string[] = [];
  const [lead = ''] = /^ */.exec(text) ?? [];
  let line = lead;
  for (const word of text.trimStart().split(' ')) {
    if (line.trim() !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = ' '.repeat(indent) + word;
    } else line += line.trim() === '' ? word : ` ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Two columns of which the second is text: it wraps below itself. */
export function described(rows: readonly (readonly [label: string, text: string])[], theme: Theme): string[] {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => wrapped(`${label.padEnd(width)}  ${text}`, theme, width + 2));
}

/** What of a list is shown: at most `most` lines, of which the last one tells of the rest. */
export function fold<T>(rows: readonly T[], most: number, { folds }: Theme): { shown: readonly T[]; rest: readonly T[] } {
  const count = !folds || rows.length <= most ? rows.length : most - 1;
  return { shown: rows.slice(0, count), rest: rows.slice(count) };
}

/** The line in place of the rest of a folded list. */
export function restLine(text: string, theme: Theme): string {
  return theme.faint(`${text} (--verbose lists all)`);
}
