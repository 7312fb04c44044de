import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianMirror } from './mirror.js';

const execute = promisify(execFile);

export interface PackageSet {
  readonly suite: 'bookworm' | 'trixie';
  readonly architecture: 'ppc64el' | 'amd64';
  /** A package that depends on the newest kernel of the suite. */
  readonly kernel: string;
}

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const USERLAND = ['busybox-static', 'kexec-tools'];
/** A package list is asked for again when it is older. */
const FRESH = 24 * 3600_000;
const DEFAULT_LIMIT = 1800;

/** The files of unpacked packages. */
export class Packages {
  constructor(
    private readonly folders: readonly string[],
    /** Name and version of each. */
    readonly names: readonly string[],
  ) {}

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

const INDEX = 'current.json';

function readCache(folder: string): { packages: Packages; time: number } | undefined {
  const index = join(folder, INDEX);
  if (!existsSync(index)) return undefined;
  const names = JSON.parse(readFileSync(index, 'utf8')) as string[];
  return { packages: new Packages(unpackedFolders(folder, names), names), time: statSync(index).mtimeMs };
}

function unpackedFolders(folder: string, names: readonly string[]): string[] {
  return names.map((name) => join(folder, 'unpacked', name));
}

async function fetchPackages(set: PackageSet, folder: string): Promise<Packages> {
  if (!existsSync(KEYRING)) throw new Error(`${KEYRING} is not there; it is in the package debian-archive-keyring`);
  const seconds = Number(process.env.KDUMP_HOTPLUG_E2E_FETCH_SECONDS ?? DEFAULT_LIMIT);
  const signal = AbortSignal.timeout(seconds * 1000);
  const apt = await privateApt(set, folder, signal);
  await apt('apt-get', ['update', '-q']);
  const [kernel] = await dependencies(apt, [set.kernel], /^linux-image-/);
  if (kernel === undefined) throw new Error(`${set.kernel} of ${set.suite} depends on no kernel`);
  const wanted = [kernel, ...USERLAND, ...(await librariesFor(apt, USERLAND))];
  await apt('apt-get', ['download', '-q', ...wanted]);

  const unpacked = join(folder, 'unpacked');
  const archives = readdirSync(folder).filter((name) => name.endsWith('.deb'));
  mkdirSync(unpacked, { recursive: true });
  const names = archives.map((name) => name.replace(/\.deb$/, '')).sort();
  for (const name of names) await unpack(join(folder, `${name}.deb`), join(unpacked, name), signal);
  writeFileSync(join(folder, INDEX), JSON.stringify(names));
  for (const name of archives) rmSync(join(folder, name));
  for (const name of readdirSync(unpacked)) if (!names.includes(name)) rmSync(join(unpacked, name), { recursive: true });
  return new Packages(unpackedFolders(folder, names), names);
}

type Apt = (program: 'apt-get' | 'apt-cache', args: readonly string[]) => Promise<string>;

/** Apt for another architecture and release than the machine's, which knows nothing of the machine's own packages. */
async function privateApt({ suite, architecture }: PackageSet, folder: string, signal: AbortSignal): Promise<Apt> {
  const path = (name: string): string => join(folder, 'apt', name);
  for (const name of ['lists/partial', 'cache/archives/partial', 'parts']) mkdirSync(path(name), { recursive: true });
  // What an earlier run left half.
  for (const name of readdirSync(folder)) if (name.endsWith('.deb')) rmSync(join(folder, name));
  writeFileSync(path('status'), '');
  writeFileSync(path('sources.list'), `deb [signed-by=${KEYRING}] ${debianMirror()} ${suite} main\n`);
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
    'Dir::Etc::PreferencesParts': path('parts'),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
  writeFileSync(path('apt.conf'), ['#clear APT::Architectures;', ...lines, `APT::Architectures { "${architecture}"; };\n`].join('\n'));
  const env = { ...process.env, APT_CONFIG: path('apt.conf'), LC_ALL: 'C' };
  return await Promise.resolve(async (program, args) => {
    try {
      const { stdout } = await execute(program, args, { cwd: folder, env, signal, maxBuffer: 1 << 26 });
      return stdout;
    } catch (error) {
      throw aptError(program, error, signal);
    }
  });
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

/** Without kernel modules: they are most of a kernel's package, and guests here need none. */
async function unpack(archive: string, folder: string, signal: AbortSignal): Promise<void> {
  if (existsSync(folder)) return;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial);
  const script =
    'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --exclude="./lib/modules" --exclude="./usr/lib/modules" --exclude="./usr/share"';
  await execute('sh', ['-c', script, 'sh', archive, partial], { signal });
  renameSync(partial, folder);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
