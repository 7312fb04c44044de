import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseElfcorehdr, type Elfcorehdr } from '../../src/elf/elfcorehdr.js';
import { has, scratchFolder } from '../helpers/run.js';
import { elfSeeds } from './seeds.js';
import { Mutator } from './mutator.js';
import { Random } from './random.js';

// The program headers of accepted elfcorehdrs as readelf and eu-readelf print them, many files in one run.

const FILES = 400;
const folder = scratchFolder();
const NUMBER = /^0x[0-9a-f]+$/;

/** Headers that are accepted, from damaged ones. EI_DATA is set to the byte order that the fields have: readelf goes by it alone. */
function accepted(): { path: string; contents: Elfcorehdr }[] {
  const mutator = new Mutator(new Random(20260103), elfSeeds());
  const found: { path: string; contents: Elfcorehdr }[] = [];
  while (found.length < FILES) {
    const bytes = Uint8Array.from(mutator.next());
    let contents: Elfcorehdr;
    try {
      contents = parseElfcorehdr(bytes);
    } catch {
      continue;
    }
    bytes[5] = contents.header.byteOrder === 'lsb' ? 1 : 2;
    // Sections are no part of an elfcorehdr, and e_machine decides how types and flags are printed.
    bytes.fill(0, 40, 48);
    bytes.fill(0, 58, 64);
    bytes.set(contents.header.byteOrder === 'lsb' ? [21, 0] : [0, 21], 18);
    const path = join(folder, `header-${found.length}`);
    writeFileSync(path, bytes);
    found.push({ path, contents });
  }
  return found;
}

const files = accepted();

/** For each file its rows of six numbers: offset, vaddr, paddr, filesz, memsz, align. */
function tables(program: string, options: readonly string[]): string[][] {
  const { stdout, status } = spawnSync(program, [...options, ...files.map(({ path }) => path)], { encoding: 'utf8', maxBuffer: 1 << 28 });
  expect(status).not.toBeNull();
  const result = new Map<string, string[]>(files.map(({ path }) => [path, []]));
  let rows: string[] | undefined;
  for (const line of stdout.split('\n')) {
    const named = /^(?:File: )?(\/.*\/header-\d+):?$/.exec(line.trim())?.[1];
    if (named !== undefined) rows = result.get(named);
    // Columns: type, which may be of several words, offset, vaddr, paddr, filesz, memsz, flags with blanks for those that are not set, align.
    const words = line.trim().split(/\s+/);
    const align = words.pop() ?? '';
    const numbers = words.filter((word) => NUMBER.test(word)).slice(-5);
    if (rows !== undefined && numbers.length === 5 && (align === '0' || NUMBER.test(align)))
      rows.push([...numbers, align].map((number) => BigInt(number).toString(16)).join(' '));
  }
  return files.map(({ path }) => result.get(path) ?? []);
}

function expectSame(program: string, options: readonly string[]): void {
  const printed = tables(program, options);
  for (const [index, { path, contents }] of files.entries()) {
    const ours = contents.programHeaders.map(({ offset, vaddr, paddr, filesz, memsz, align }) =>
      [offset, vaddr, paddr, filesz, memsz, align].map((value) => value.toString(16)).join(' '),
    );
    expect(printed[index], path).toEqual(ours);
  }
}

describe(`${FILES} accepted elfcorehdrs`, () => {
  test.skipIf(!has('readelf'))('as readelf -lW prints them', () => {
    expectSame('readelf', ['-lW']);
  });

  test.skipIf(!has('eu-readelf'))('as eu-readelf -l prints them', () => {
    expectSame('eu-readelf', ['-l']);
  });
});
