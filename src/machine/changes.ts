import { KdumpError } from '../errors.js';
import { parseChange } from './change-json.js';
import type { Change } from './change.js';
import { excerpt } from '../text/excerpt.js';
import { inside, readArray, readObject, wrongValue } from '../text/json-fields.js';
import { Converted, parseJsonDocuments, type Convert, type JsonValue } from '../text/strict-json.js';

export { changeToJson, formatChange } from './change.js';
export type { Change, ChangeAction, ChangeJson, CpuChange, CpuOfChange, MemoryChange } from './change.js';

/** Largest change file, in bytes. */
export const MAX_CHANGE_FILE: number = 16 * 1024 * 1024;

/**
 * The changes of a change file, in its order: JSON `{ "changes": [ … ] }`, or one such document or one change a line (NDJSON).
 * docs/changes.schema.json describes the documents.
 *
 * @param firstLine the number of the first line, where `text` is a part of a longer one
 * @throws KdumpError `usage`; its `segment` says where: `changes[2].memory.start`, with `line N` before it where there are several documents
 */
export function parseChanges(text: string, firstLine = 1): Change[] {
  if (text.length > MAX_CHANGE_FILE) {
    throw new KdumpError('usage', 'change file is too large', {
      found: `${text.length} characters`,
      expected: `at most ${MAX_CHANGE_FILE}`,
      remedy: 'split it',
    });
  }
  const documents = parseJsonDocuments(text, changeConverter(), firstLine);
  if (documents.length === 0) {
    throw new KdumpError('usage', 'change file is empty', { found: excerpt(text.trim()), expected: '{ "changes": [ … ] }' });
  }
  const several = documents.length > 1;
  const changes: Change[] = [];
  for (const document of documents) {
    if (document instanceof Converted) changes.push(document.result as Change);
    else addDocument(changes, document.value, several ? `line ${document.line}` : '');
  }
  return changes;
}

/** Makes a change of a value as soon as it was read. The first that is none, and all after it, stay: addDocument tells what is wrong, and where. */
function changeConverter(): Convert {
  let failed = false;
  return (value) => {
    if (failed || !(value instanceof Map && value.has('action'))) return value;
    try {
      return new Converted(parseChange(value as JsonValue, ''));
    } catch {
      failed = true;
      return value;
    }
  };
}

function addDocument(changes: Change[], value: JsonValue, place: string): void {
  const fields = readObject(value, place, ['changes', 'action', 'memory', 'cpu'], '{ "changes": [ … ] }');
  if (fields.size === 0) throw wrongValue(undefined, inside(place, 'changes'), 'an array');
  if (!fields.has('changes')) {
    changes.push(parseChange(value, place));
    return;
  }
  const list = readArray(readObject(value, place, ['changes']).get('changes'), inside(place, 'changes'));
  for (const [index, change] of list.entries())
    changes.push(change instanceof Converted ? (change.result as Change) : parseChange(change, inside(place, `changes[${index}]`)));
}
