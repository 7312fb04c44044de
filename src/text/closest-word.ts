const MOST_EDITS = 2;

/** The one of `words` that `word` was most likely meant to be: at most two letters added, left out or changed, in any case of letters. */
export function closestTo(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let fewest = MOST_EDITS + 1;
  for (const candidate of words) {
    if (Math.abs(candidate.length - word.length) > MOST_EDITS) continue;
    const edits = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest && edits < candidate.length) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

/** Levenshtein distance, a row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const changed = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
