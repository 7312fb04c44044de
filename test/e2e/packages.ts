import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianMirror } from './mirror.js';

const execute = promisify(execFile);

export interface PackageSet {
  readonly suite: 'bookworm' | 'trixie';
  /** The one after it, for libraries and programs that the archive lists and does not have, as happens while a point release spreads. */
  readonly next: 'trixie' | 'forky';
  readonly architecture: 'ppc64el' | 'amd64';
  /** A package that depends on the newest kernel of the suite. */
  readonly kernel: string;
}

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const USERLAND = ['busybox-static', 'kexec-tools', 'makedumpfile'];
/** A package list is asked for again when it is older. */
const FRESH = 24 * 3600_000;
const DEFAULT_LIMIT = 1800;

/** The files of unpacked packages. */
export class Packages {
  private readonly folders: readonly string[];
  /** Name and version of each. */
  readonly names: readonly string[];

  constructor(folders: readonly string[], names: readonly string[]) {
    this.folders = folders;
    this.names = names;
  }

  /** The file whose path in a package matches, such as `/boot/vmlinux-…`. */
  file(path: RegExp): string {
    const found = this.files(path)[0];
    if (found === undefined) throw new Error(`no package has a file ${path.source}`);
    return found;
  }

  files(path: RegExp): string[] {
    return this.folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => path.test(`/${file}`))
        .map((file) => join(folder, file)),
    );
  }
}

/**
 * The packages of a guest: those in the cache while they are fresh, else what the suite has now, else those in the cache again.
 *
 * @throws Error whose message says in one line why there are none
 */
export async function packagesOf(set: PackageSet): Promise<Packages> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kdump-hotplug', 'e2e');
  const folder = join(cache, `${set.suite}-${set.architecture}-${set.kernel}`);
  const cached = readCache(folder);
  if (cached !== undefined && Date.now() - cached.time < FRESH) return cached.packages;
  try {
    return await fetchPackages(set, folder);
  } catch (error) {
    const reason = firstLine(error);
    if (cached === undefined) throw new Error(`Debian's packages for ${set.architecture} cannot be had: ${reason}`, { cause: error });
    console.warn(`using the cached packages for ${set.architecture}, since there are no newer ones to be had: ${reason}`);
    return cached.packages;
  }
}

const INDEX = 'packages.json';
const UNPACKED = 'files';

function readCache(folder: string): { packages: Packages; time: number } | undefined {
  const index = join(folder, INDEX);
  if (!existsSync(index)) return undefined;
  const names = JSON.parse(readFileSync(index, 'utf8')) as string[];
  const folders = unpackedFolders(folder, names);
  return folders.every(existsSync) ? { packages: new Packages(folders, names), time: statSync(index).mtimeMs } : undefined;
}

function unpackedFolders(folder: string, names: readonly string[]): string[] {
  return names.map((name) => join(folder, UNPACKED, name));
}

async function fetchPackages(set: PackageSet, folder: string): Promise<Packages> {
  if (!existsSync(KEYRING)) throw new Error(`${KEYRING} is not there; it is in the package debian-archive-keyring`);
  const seconds = Number(process.env.KDUMP_HOTPLUG_E2E_FETCH_SECONDS ?? DEFAULT_LIMIT);
  const signal = AbortSignal.timeout(seconds * 1000);
  const apt = privateApt(set, folder, signal);
  const [main, ...others] = sourcesOf(set);
  useSources(folder, [main]);
  await apt('apt-get', ['update', '-q']);
  try {
    await download(apt, set, [main.suite]);
  } catch (error) {
    if (signal.aborted) throw error;
    useSources(folder, [main, ...others]);
    // Not every mirror has all of them.
    await apt('apt-get', ['update', '-q']).catch(() => undefined);
    await download(
      apt,
      set,
      [main, ...others].map(({ suite }) => suite),
    ).catch(() => {
      throw error;
    });
  }

  const unpacked = join(folder, UNPACKED);
  const archives = readdirSync(folder).filter((name) => name.endsWith('.deb'));
  mkdirSync(unpacked, { recursive: true });
  const names = archives.map((name) => name.replace(/\.deb$/, '')).sort();
  for (const name of names) await unpack(join(folder, `${name}.deb`), join(unpacked, name), signal);
  writeFileSync(join(folder, INDEX), JSON.stringify(names));
  for (const name of archives) rmSync(join(folder, name));
  for (const name of readdirSync(unpacked)) if (!names.includes(name)) rmSync(join(unpacked, name), { recursive: true });
  return new Packages(unpackedFolders(folder, names), names);
}

interface Source {
  readonly archive: string;
  readonly suite: string;
}

/** Where packages may come from, the best first. */
function sourcesOf({ suite, next }: PackageSet): [Source, ...Source[]] {
  const { main, security } = debianMirror();
  return [
    { archive: main, suite },
    ...(security === undefined ? [] : [{ archive: security, suite: `${suite}-security` }]),
    { archive: main, suite: next },
  ];
}

/** Downloads a kernel of the suite itself or of its security updates, and the rest of any of the suites. */
async function download(apt: Apt, { suite, kernel }: PackageSet, suites: readonly string[]): Promise<void> {
  const kernels = await dependencies(apt, [kernel], /^linux-image-/);
  if (kernels.length === 0) throw new Error(`${kernel} of ${suite} depends on no kernel`);
  // Older ones that are still there, such as those of security updates.
  const flavour = kernel.replace(/^linux-image-/, '');
  const names = (await apt('apt-cache', ['pkgnames', 'linux-image-'])).split('\n');
  const older = names.filter((name) => new RegExp(`^linux-image-[^-]+(-\\d+)?-${flavour}$`).test(name)).sort(byVersion);
  const own = suites.filter((each) => each.startsWith(suite));
  const versions: string[] = [];
  for (const name of new Set([...kernels, ...older])) versions.push(...(await versionsOf(apt, name, own)));
  await downloadFirst(apt, versions);
  const libraries = await librariesFor(apt, USERLAND);
  for (const name of [...USERLAND, ...libraries]) await downloadFirst(apt, await versionsOf(apt, name, suites));
}

/** The newest first. */
function byVersion(one: string, other: string): number {
  return other.localeCompare(one, 'en', { numeric: true });
}

/** Downloads the first that the archive really has. @throws Error of the first */
async function downloadFirst(apt: Apt, packages: readonly string[]): Promise<void> {
  let failure: unknown = new Error('no such package');
  for (const [index, name] of packages.entries()) {
    try {
      await apt('apt-get', ['download', '-q', name]);
      return;
    } catch (error) {
      if (index === 0) failure = error;
    }
  }
  throw failure;
}

/** `package=version` of each version in `suites`, those of the first suite first. Packages that others only provide are in none. */
async function versionsOf(apt: Apt, name: string, suites: readonly string[]): Promise<string[]> {
  const lines = (await apt('apt-cache', ['madison', name])).split('\n').map((line) => line.split('|').map((part) => part.trim()));
  const versions = suites.flatMap((suite) =>
    lines.filter(([, , source = '']) => source.includes(` ${suite}/main `)).map(([, version = '']) => `${name}=${version}`),
  );
  return [...new Set(versions)];
}

type Apt = (program: 'apt-get' | 'apt-cache', args: readonly string[]) => Promise<string>;

/** Has apt take packages from these sources, and rather from the first. */
function useSources(folder: string, sources: readonly Source[]): void {
  const lines = sources.map(({ archive, suite }) => `deb [signed-by=${KEYRING}] ${archive} ${suite} main\n`);
  writeFileSync(join(folder, 'apt', 'sources.list'), lines.join(''));
  const pins = sources.map(({ suite }, index) => `Package: *\nPin: release n=${suite}\nPin-Priority: ${990 - index}\n`);
  writeFileSync(join(folder, 'apt', 'preferences'), pins.join('\n'));
}

/** Apt for another architecture and release than the machine's, which knows nothing of the machine's own packages. */
function privateApt({ architecture }: PackageSet, folder: string, signal: AbortSignal): Apt {
  const path = (name: string): string => join(folder, 'apt', name);
  for (const name of ['lists/partial', 'cache/archives/partial', 'parts']) mkdirSync(path(name), { recursive: true });
  // What an earlier run left half.
  for (const name of readdirSync(folder)) if (name.endsWith('.deb')) rmSync(join(folder, name));
  writeFileSync(path('status'), '');
  const settings = {
    'APT::Architecture': architecture,
    // Root's downloads go to a folder that apt's own user cannot write to.
    'APT::Sandbox::User': 'root',
    // An update that got nothing new is a failure, not a warning.
    'APT::Update::Error-Mode': 'any',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
    'Dir::State': path('.'),
    'Dir::State::status': path('status'),
    'Dir::State::lists': path('lists'),
    'Dir::Cache': path('cache'),
    'Dir::Etc::SourceList': path('sources.list'),
    'Dir::Etc::SourceParts': path('parts'),
    'Dir::Etc::Preferences': path('preferences'),
    'Dir::Etc::PreferencesParts': path('parts'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  writeFileSync(path('apt.conf'), ['#clear APT::Architectures;', ...lines, `APT::Architectures { "${architecture}"; };\n`].join('\n'));
  const env = { ...process.env, APT_CONFIG: path('apt.conf'), LC_ALL: 'C' };
  return async (program, args) => {
    try {
      const { stdout } = await execute(program, args, { cwd: folder, env, signal, maxBuffer: 1 << 26 });
      return stdout;
    } catch (error) {
      throw aptError(program, error, signal);
    }
  };
}

function aptError(program: string, error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return new Error('the time for fetching is over', { cause: error });
  const { code, stderr } = error as { code?: unknown; stderr?: string };
  if (code === 'ENOENT') return new Error(`${program} is not installed`, { cause: error });
  const reason = stderr?.split('\n').find((line) => /^[EW]: /.test(line));
  return new Error(reason ?? `${program} failed`, { cause: error });
}

/** What `names` depend on directly, as far as it matches. */
async function dependencies(apt: Apt, names: readonly string[], matching: RegExp): Promise<string[]> {
  const text = await apt('apt-cache', ['depends', '--important', ...names]);
  const found = [...text.matchAll(/^ [ |](?:Pre)?Depends: (\S+)/gm)].map(([, name]) => name ?? '');
  return [...new Set(found.filter((name) => matching.test(name)))];
}

async function librariesFor(apt: Apt, names: readonly string[]): Promise<string[]> {
  const all = new Set<string>();
  for (let fresh = names; fresh.length > 0;) {
    fresh = (await dependencies(apt, fresh, /^(lib|zlib)/)).filter((name) => !all.has(name));
    for (const name of fresh) all.add(name);
  }
  return [...all];
}

/** What of a package is unpacked: of a kernel the modules of a virtio disk alone, since the others are most of it. */
function tarOptions(archive: string): string[] {
  return archive.includes('/linux-image-') ? ['--wildcards', '--no-anchored', 'boot/vmlinu*', 'virtio*.ko*'] : ['--exclude=./usr/share'];
}

async function unpack(archive: string, folder: string, signal: AbortSignal): Promise<void> {
  if (existsSync(folder)) return;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  const script = 'archive=$1 folder=$2; shift 2; dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$folder" "$@"';
  await execute('sh', ['-c', script, 'sh', archive, partial, ...tarOptions(archive)], { signal });
  renameSync(partial, folder);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
