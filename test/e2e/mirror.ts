import { readFileSync, readdirSync } from 'node:fs';

/** Where packages and their security updates come from. */
export interface Mirror {
  readonly main: string;
  /** undefined where none is named. */
  readonly security: string | undefined;
}

/**
 * The Debian archive to take packages from: what the environment says, else what this machine's apt uses.
 *
 * @throws Error that says so where neither names one
 */
export function debianMirror(): Mirror {
  const given = process.env.KDUMP_HOTPLUG_E2E_MIRROR?.replace(/\/+$/, '') ?? '';
  if (given !== '') return { main: given, security: `${given}-security` };
  const main = archiveOfThisMachine(/^(https?|file):\/\/.*\/debian\/?$/);
  if (main === undefined)
    throw new Error("this machine's apt sources name no Debian archive, and KDUMP_HOTPLUG_E2E_MIRROR, which could name one, is not set");
  return { main, security: archiveOfThisMachine(/^(https?|file):\/\/.*\/debian-security\/?$/) };
}

function archiveOfThisMachine(path: RegExp): string | undefined {
  for (const text of sources()) {
    const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
    // In a URI list of either format, the archive is the one whose path ends so.
    const uri = lines.flatMap((line) => line.split(/\s+/)).find((word) => path.test(word));
    if (uri !== undefined) return uri.replace(/\/+$/, '');
  }
  return undefined;
}

function sources(): string[] {
  const more = readOr([], () => readdirSync('/etc/apt/sources.list.d').map((name) => `/etc/apt/sources.list.d/${name}`));
  return ['/etc/apt/sources.list', ...more].flatMap((path) => readOr([], () => [readFileSync(path, 'utf8')]));
}

function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
