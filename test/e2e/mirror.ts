import { readdirSync, readFileSync } from 'node:fs';

const SECURITY = 'http://security.debian.org/debian-security';

/** Where packages and their security updates come from. */
export interface Mirror {
  readonly main: string;
  readonly security: readonly string[];
}

/** The Debian archive to take packages from: what the environment says, else what this machine's apt uses, else Debian's own. */
export function debianMirror(): Mirror {
  const given = process.env.KDUMP_HOTPLUG_E2E_MIRROR?.replace(/\/+$/, '') ?? '';
  if (given !== '') return { main: given, security: [`${given}-security`] };
  const security = archiveOfThisMachine(/^(https?|file):\/\/.*\/debian-security\/?$/);
  return {
    main: archiveOfThisMachine(/^(https?|file):\/\/.*\/debian\/?$/) ?? 'http://deb.debian.org/debian',
    security: [...new Set([...(security === undefined ? [] : [security]), SECURITY])],
  };
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
  try {
    const more = readdirSync('/etc/apt/sources.list.d').map((name) => `/etc/apt/sources.list.d/${name}`);
    return ['/etc/apt/sources.list', ...more].flatMap((path) => {
      try {
        return [readFileSync(path, 'utf8')];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}
