import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NODES, nodeOf } from './nodes.js';
import { ROOT, install, lend, pack, tool, type Packed } from './packed.js';

// The package as its users get it: what is in it, that it installs without a network, and that types, library and program work from there.

const folder = mkdtempSync(join(tmpdir(), 'kdump-hotplug-package-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const consumer = join(folder, 'consumer');
let packed: Packed;
beforeAll(() => {
  packed = pack(folder);
  install(packed.tarball, consumer);
});

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
  scripts: Record<string, string>;
  repository: { url: string };
  bugs: { url: string };
  homepage: string;
};
const packedManifest = (place: string): object => JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')) as object;
const paths = (): string[] => packed.files.map(({ path }) => path);

describe('contents', () => {
  test('outside dist/lib and docs: the program, its man page, and what every package has', () => {
    expect(
      paths()
        .filter((path) => !/^(dist\/lib|docs)\//.test(path))
        .sort(),
    ).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      // What the first line of a shell script is to others: it starts program.cjs.
      'dist/kdump-hotplug.cjs',
      'dist/program.cjs',
      'man/kdump-hotplug.1',
      'package.json',
    ]);
    expect(packed.files.find(({ path }) => path === 'dist/kdump-hotplug.cjs')?.mode).toBe(0o755);
  });

  test('dist/lib: each module with its types, and none of the command line', () => {
    const library = paths().filter((path) => path.startsWith('dist/lib/'));
    const modules = library.filter((path) => path.endsWith('.js')).map((path) => path.slice(0, -'.js'.length));
    expect(library.filter((path) => path.endsWith('.d.ts')).map((path) => path.slice(0, -'.d.ts'.length))).toEqual(modules);
    expect(library).toHaveLength(2 * modules.length);
    expect(library.filter((path) => path.startsWith('dist/lib/cli/'))).toEqual([]);
    expect(modules).toContain('dist/lib/index');
  });

  test('docs: pages, pictures and schemas', () => {
    const docs = paths().filter((path) => path.startsWith('docs/'));
    expect(docs.filter((path) => !/\.(md|svg|png|schema\.json)$/.test(path))).toEqual([]);
    expect(docs).toEqual(expect.arrayContaining(['docs/cli.md', 'docs/json.md', 'docs/api.md', 'docs/schema/inspect.schema.json']));
  });

  test('no tests, fixtures, sources, source maps, or caches of this machine', () => {
    expect(paths().filter((path) => /(^|\/)(test|fixtures|src|scripts)\/|\.map$|\.cache$|(?<!\.d)\.ts$|tsconfig/.test(path))).toEqual([]);
  });

  test('size', () => {
    expect(packed.size).toBeLessThan(1 << 20);
    expect(packed.unpackedSize).toBeLessThan(3 << 20);
  });

  test('the manifest: nothing runs at install, and one repository is named', () => {
    const installing = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish', 'postpack'];
    expect(Object.keys(manifest.scripts).filter((name) => installing.includes(name))).toEqual([]);
    const page = /^git\+(https:.*)\.git$/.exec(manifest.repository.url)?.[1];
    expect(page).toMatch(/\/kdump-hotplug$/);
    expect([manifest.bugs.url, manifest.homepage]).toEqual([`${page}/issues`, `${page}#readme`]);
  });

  // npm links the pages of a list alone, although its documentation allows one name.
  test('the man page is one of a list, and npm install --global puts it where man looks', () => {
    const prefix = join(folder, 'global');
    // Without what it depends on, which no registry is asked for: the program has it all in one file.
    const alone = join(folder, 'alone');
    mkdirSync(alone);
    execFileSync('tar', ['-xzf', packed.tarball, '-C', alone]);
    const place = join(alone, 'package');
    writeFileSync(join(place, 'package.json'), JSON.stringify({ ...packedManifest(place), dependencies: {}, scripts: {} }));
    const tarball = join(alone, execFileSync('npm', ['pack', '--silent', place], { cwd: alone, encoding: 'utf8' }).trim());
    const { status } = spawnSync('npm', ['install', '--global', '--prefix', prefix, '--offline', '--ignore-scripts', tarball]);
    expect(status).toBe(0);
    expect(readFileSync(join(prefix, 'share/man/man1/kdump-hotplug.1'), 'utf8')).toMatch(/^\.TH /m);
  });
});

describe('checkers of packages', () => {
  test('publint', () => {
    const { status, output } = tool(folder, 'publint/src/cli.js', 'run', packed.tarball, '--strict');
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining('All good!') as string });
  });

  test('are the types wrong? ESM only: node10 and require() are not for it', () => {
    const { status, output } = tool(folder, '@arethetypeswrong/cli/dist/index.js', packed.tarball, '--profile', 'esm-only', '--no-color');
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toMatch(/node16 \(from ESM\).*🟢 \(ESM\)/);
  });
});

describe('a consumer', () => {
  function typeCheck(files: string[], options: object): string {
    const compilerOptions = { module: 'NodeNext', target: 'ES2022', strict: true, skipLibCheck: false, noEmit: true, ...options };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    return tool(consumer, 'typescript/bin/tsc', '-p', '.').output;
  }

  test('type checks under NodeNext, with the checks of library types on and without the types of Node', () => {
    writeFileSync(
      join(consumer, 'consumer.ts'),
      [
        "import { closeImage, nodeFileSystem, openImage, planHotplug, type KdumpImage, type Plan } from 'kdump-hotplug';",
        "const image: KdumpImage = openImage(nodeFileSystem, 'image.kdump');",
        "const plan: Plan = planHotplug(image, [{ action: 'add', cpu: { id: 2 } }]);",
        'export const address: bigint | undefined = plan.segments[0]?.address;',
        '// @ts-expect-error There is no such action.',
        "planHotplug(image, [{ action: 'grow', cpu: { id: 2 } }]);",
        '// @ts-expect-error Addresses are bigint.',
        "planHotplug(image, [{ action: 'add', memory: { start: 0, end: 1 } }]);",
        'closeImage(image);',
      ].join('\n'),
    );
    expect(typeCheck(['consumer.ts'], { types: [], lib: ['ES2022'] })).toBe('');
  });

  test('type checks every example', () => {
    lend(consumer, '@types/node');
    lend(consumer, 'undici-types');
    cpSync(join(ROOT, 'examples/library'), join(consumer, 'examples'), { recursive: true });
    const files = readdirSync(join(consumer, 'examples')).flatMap((name) => (name.endsWith('.mjs') ? [`examples/${name}`] : []));
    expect(typeCheck(files, { types: ['node'], lib: ['ES2023'], allowJs: true, checkJs: true })).toBe('');
  });

  test('types do not lead to those of binary-parser, which ESM cannot resolve', () => {
    const types = packed.files.filter(({ path }) => path.endsWith('.d.ts'));
    const naming = types.filter(({ path }) =>
      readFileSync(join(consumer, 'node_modules/kdump-hotplug', path), 'utf8').includes('binary-parser'),
    );
    expect(naming).toEqual([]);
  });

  const image = join(ROOT, 'fixtures/images/ppc64le-64k.kdump');

  test('runs an example', () => {
    mkdirSync(join(consumer, 'run'));
    cpSync(join(ROOT, 'examples/library/inspect.mjs'), join(consumer, 'run/inspect.mjs'));
    const { stdout, stderr } = spawnSync(process.execPath, [join(consumer, 'run/inspect.mjs'), image], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^packed image of ppc64le\n/);
  });

  test('runs the program', () => {
    const bin = join(consumer, 'node_modules/.bin/kdump-hotplug');
    const run = (...args: string[]): string => spawnSync(bin, args, { encoding: 'utf8' }).stdout;
    expect(run('--version')).toBe(`${manifest.version}\n`);
    expect(JSON.parse(run('inspect', image, '--json', '--verify'))).toHaveProperty('purgatory.digest', 'match');
  });
});

describe.each(NODES)('the program on Node %i, in an empty folder', (major) => {
  const at = join(folder, `on-node-${major}`);
  const original = readFileSync(join(ROOT, 'fixtures/images/ppc64le-64k.kdump'));
  const node = nodeOf(major, folder);
  beforeAll(() => {
    mkdirSync(at);
    install(packed.tarball, join(at, 'package'));
    writeFileSync(join(at, 'image.kdump'), original);
  });

  function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const program = join(at, 'package/node_modules/kdump-hotplug/dist/kdump-hotplug.cjs');
    const env = { ...process.env, XDG_CACHE_HOME: join(at, 'cache') };
    const { status, stdout, stderr } = spawnSync('path' in node ? node.path : '', [program, ...args], { cwd: at, encoding: 'utf8', env });
    return { status, stdout, stderr };
  }
  /** The caches, and when each was written. */
  function caches(): Map<string, number> {
    const place = join(at, 'cache/kdump-hotplug');
    const names = existsSync(place) ? readdirSync(place) : [];
    return new Map(names.map((name) => [name, statSync(join(place, name)).mtimeMs]));
  }
  /** The files of the package, and when each was written. */
  function packageFiles(): [string, number][] {
    const place = join(at, 'package/node_modules/kdump-hotplug');
    return readdirSync(place, { recursive: true, encoding: 'utf8' })
      .sort()
      .map((name) => [name, statSync(join(place, name)).mtimeMs]);
  }

  test("inspects, applies, undoes and reports; each code cache is made once, in the user's cache folder, and used", ({ skip }) => {
    if ('missing' in node) skip(node.missing);
    expect(caches().size).toBe(0);
    const installed = packageFiles();
    expect(run('--version')).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: '' });
    expect(caches().size).toBe(1);

    expect(run('inspect', 'image.kdump', '--json')).toMatchObject({ status: 0, stderr: '' });
    expect(run('apply', 'image.kdump', '--add-memory', '0x80000000+256M', '--save-undo', 'image.undo')).toMatchObject({ status: 0 });
    expect(readFileSync(join(at, 'image.kdump')).equals(original)).toBe(false);
    expect(run('check', 'image.kdump')).toMatchObject({ status: 0 });
    expect(run('report', 'image.kdump', '-o', 'report.html')).toMatchObject({ status: 0 });
    expect(readFileSync(join(at, 'report.html'), 'utf8')).toContain('</html>');
    expect(run('undo', 'image.kdump', 'image.undo')).toMatchObject({ status: 0 });
    expect(readFileSync(join(at, 'image.kdump')).equals(original)).toBe(true);
    expect(run('inspect', 'nothing.kdump')).toMatchObject({ status: 5, stdout: '', stderr: expect.stringMatching(/^[^\n]+\n$/) as string });

    // One that V8 does not take is written anew at the end of the run.
    const made = caches();
    for (const command of ['inspect', 'check']) expect(run(command, 'image.kdump')).toMatchObject({ status: 0 });
    expect(run('--version')).toMatchObject({ status: 0 });
    expect(caches()).toEqual(made);
    expect(packageFiles()).toEqual(installed);
  });

  test('uses no code cache that others could have written: it makes another one', ({ skip }) => {
    if ('missing' in node) skip(node.missing);
    expect(run('--version')).toMatchObject({ status: 0 });
    const place = join(at, 'cache/kdump-hotplug');
    for (const mode of [0o620, 0o602]) {
      for (const name of caches().keys()) chmodSync(join(place, name), mode);
      const before = caches();
      expect(run('--version')).toMatchObject({ status: 0 });
      const anew = [...caches()].filter(([name, time]) => before.get(name) !== time).map(([name]) => name);
      expect(anew).toHaveLength(1);
      expect(statSync(join(place, anew[0] ?? '')).mode & 0o777).toBe(0o600);
    }
  });

  test('writes no code cache below a folder that others can write to', ({ skip }) => {
    if ('missing' in node) skip(node.missing);
    rmSync(join(at, 'cache'), { recursive: true, force: true });
    mkdirSync(join(at, 'cache'));
    chmodSync(join(at, 'cache'), 0o777);
    expect(run('inspect', 'image.kdump')).toMatchObject({ status: 0 });
    expect(readdirSync(join(at, 'cache'))).toEqual([]);
  });
});
