import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { load, planOf, programHeadersOf, shown, type BuiltFile } from '../helpers/build-image.js';
import { runHere as run } from '../helpers/run-here.js';

/** What `inspect --json` prints, as far as it is looked at. */
export interface Inspected {
  format: string;
  architecture: string;
  segments: { name: string; fileOffset: number; address: string }[];
  purgatory: { digest: string };
}

/** What any image in a dump has to go through: found, inspected, checked, captured, patched, with nothing else changed. */
export function expectUsable(file: BuiltFile): void {
  const { parts, segments } = file.built;
  const inspectedResult = run(['inspect', file.path, ...file.options, '--verify', '--json']);
  expect(inspectedResult).toMatchObject({ status: 0, stderr: '' });
  const found = JSON.parse(inspectedResult.stdout) as Inspected;
  expect(found).toMatchObject({ format: 'elf-core', architecture: parts.architecture, purgatory: { digest: 'match' } });
  expect(found.segments.map(({ name, address }) => [name, BigInt(address)])).toEqual(segments.map(({ role, address }) => [role, address]));

  const checked = run(['check', file.path, ...file.options, '--json']);
  expect(checked).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(checked.stdout)).toMatchObject({ sound: true, current: null, digest: 'match' });

  const before = readFileSync(file.path);
  const captured = `${file.path}.captured`;
  expect(run(['capture', file.path, ...file.options, '-o', captured])).toMatchObject({ status: 0, stderr: '' });
  expect(run(['diff', file.path, captured])).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(file.path).equals(before)).toBe(true);

  const command = ['apply', file.path, ...file.options, '--add-memory', '0x4000000000+1G', '--json'];
  expect(planOf(run(command))).toMatchObject({ applied: true, digest: 'rewritten' });
  const wanted = [...parts.programHeaders, load(0x4000000000n, 0x40000000n, parts.facts.linear)].map(shown);
  expect(programHeadersOf(file.read('elfcorehdr'), parts.facts.little).map(shown)).toEqual(wanted);
  expect(file.digests().stored).toBe(file.digests().computed);

  // The same patch on the bytes from before, put where the segments lie, is the whole difference.
  const after = readFileSync(file.path);
  const patched = withSegmentsOfNow(file, before);
  expect(after.equals(patched)).toBe(true);
  expect(planOf(run(command)).applied).toBe(false);
}

/** The file's bytes from before with its elfcorehdr and purgatory of now. */
function withSegmentsOfNow(file: BuiltFile, before: Buffer): Buffer {
  const bytes = Buffer.from(before);
  const now = readFileSync(file.path);
  for (const role of ['elfcorehdr', 'purgatory'] as const) {
    for (const { offset, length } of file.stored(role)) now.copy(bytes, offset, offset, offset + length);
  }
  return bytes;
}
