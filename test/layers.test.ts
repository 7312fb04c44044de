import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
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
  'image',
  'machine',
  'hotplug',
  'patch',
  'guest',
  'watch',
  'report',
  'cli',
];

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && file.includes('/'));

function folderOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function importsOf(file: string): string[] {
  const text = readFileSync(`${SRC}/${file}`, 'utf8');
  return [...text.matchAll(/from '(\.[^']+)'/g)].map(([, path]) => new URL(path ?? '', `file:///${file}`).pathname.slice(1));
}

describe('the folders of src', () => {
  it('are the layers, and no others', () => {
    expect([...new Set(files.map(folderOf))].sort()).toEqual([...LAYERS].sort());
  });

  it.each(LAYERS)('%s imports only from the layers below it', (layer) => {
    const allowed = LAYERS.slice(0, LAYERS.indexOf(layer) + 1);
    const wrong = files
      .filter((file) => folderOf(file) === layer)
      .flatMap((file) => importsOf(file).map((target) => ({ file, target })))
      .filter(({ target }) => target.includes('/') && !allowed.includes(folderOf(target)));
    expect(wrong).toEqual([]);
  });

  it('print only in cli', () => {
    const printing = files.filter(
      (file) => folderOf(file) !== 'cli' && /\b(console\.|process\.(stdout|stderr|exit))/.test(readFileSync(`${SRC}/${file}`, 'utf8')),
    );
    expect(printing).toEqual([]);
  });

  it('have no cycles between files', () => {
    const graph = new Map(files.map((file) => [file, importsOf(file).map((target) => target.replace(/\.js$/, '.ts'))]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      else if (!done.has(file)) for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });
});
