import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** A folder imports only from itself and from those before it: data goes one way. */
const LAYERS = [
  'bytes',
  'memory',
  'text',
  'elf',
  'fdt',
  'file',
  'journal',
  'arch',
  'kexec',
  'memory-source',
  'kernel',
  'container',
  'image',
  'machine',
  'description',
  'check',
  'plan',
  'patch',
  'guest',
  'watch',
  'report',
  'cli',
];

/** The files beside the folders: codes.ts and errors.ts are below them all, index.ts above. */
const BELOW = ['codes.ts', 'errors.ts'];
const ABOVE = 'index.ts';

const all = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const files = all.filter((file) => file.includes('/'));

/** What a file imports or exports from, types and `import()` too: paths in src, and names of modules as they are. */
const imports = new Map(
  all.map((file) => [
    file,
    ts
      .preProcessFile(readFileSync(`${SRC}/${file}`, 'utf8'), true, true)
      .importedFiles.map(({ fileName }) =>
        fileName.startsWith('.') ? new URL(fileName, `file:///${file}`).pathname.slice(1).replace(/\.js$/, '.ts') : fileName,
      ),
  ]),
);

function folderOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function importersOf(module: RegExp): string[] {
  return all.filter((file) => imports.get(file)?.some((each) => module.test(each)));
}

describe('the folders of src', () => {
  it('are the layers, and no others', () => {
    expect([...new Set(files.map(folderOf))].sort()).toEqual([...LAYERS].sort());
    expect(all.filter((file) => !file.includes('/')).sort()).toEqual([...BELOW, ABOVE]);
  });

  it.each(LAYERS)('%s imports only from the layers below it', (layer) => {
    const allowed = new Set([...LAYERS.slice(0, LAYERS.indexOf(layer) + 1), ...BELOW]);
    const wrong = files
      .filter((file) => folderOf(file) === layer)
      .flatMap((file) => (imports.get(file) ?? []).map((target) => ({ file, target })))
      .filter(({ target }) => all.includes(target) && !allowed.has(folderOf(target)));
    expect(wrong).toEqual([]);
  });

  it('import nothing that is not there, and below them is nothing', () => {
    const paths = all.flatMap((file) => imports.get(file) ?? []).filter((target) => target.endsWith('.ts'));
    expect(paths.filter((target) => !all.includes(target))).toEqual([]);
    expect(paths.length).toBeGreaterThan(500);
    expect(BELOW.map((file) => imports.get(file))).toEqual([[], ['codes.ts']]);
  });

  it('print only in cli', () => {
    const printing = files.filter(
      (file) => folderOf(file) !== 'cli' && /\b(console\.|process\.(stdout|stderr|exit))/.test(readFileSync(`${SRC}/${file}`, 'utf8')),
    );
    expect(printing).toEqual([]);
  });

  it('touch files only in file', () => {
    expect(importersOf(/^(node:)?fs(\/|$)/).filter((file) => folderOf(file) !== 'file')).toEqual([]);
  });

  it('know colours and options of the command line only in cli', () => {
    expect(importersOf(/^(chalk|commander)$/).filter((file) => folderOf(file) !== 'cli')).toEqual([]);
  });

  it('have no cycles between files', () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      else if (!done.has(file)) for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of all) visit(file, []);
    expect(cycles).toEqual([]);
  });
});
