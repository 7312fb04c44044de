import { readdirSync, readFileSync } from 'node:fs';

const DEFAULT = 'http://deb.debian.org/debian';

/** The Debian archive to take packages from: what the environment says, else what this machine's apt uses, else Debian's own. */
export function debianMirror(): string {
  const given = process.env.KDUMP_HOTPLUG_E2E_MIRROR;
  const mirror = given === undefined || given === '' ? archiveOfThisMachine() : given;
  return mirror.replace(/\/+$/, '');
}

function archiveOfThisMachine(): string {
  for (const text of sources()) {
    const lines = text.split('\n').filter((line) => !line.trimStart().startsWith('#'));
    // In a URI list of either format, the main archive is the one whose path ends in /debian; security and others have it for themselves.
    const uris = lines.flatMap((line) => line.split(/\s+/)).filter((word) => /^(https?|file):\/\/.*\/debian\/?$/.test(word));
    if (uris[0] !== undefined) return uris[0];
  }
  return DEFAULT;
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
