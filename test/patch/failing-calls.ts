import { KdumpError } from '../../src/errors.js';
import type { FileSystem } from '../../src/file/file-system.js';

export type Call = keyof FileSystem;

/**
 * The same file system, where `failsWith` names the error that a call has, if any. Calls are counted from 1. A close that fails closes all the
 * same, as on Linux; a write may have written its beginning; any other call does nothing then.
 */
export function failingCalls(fileSystem: FileSystem, failsWith: (call: Call, number: number) => string | undefined): FileSystem {
  let number = 0;
  return new Proxy(fileSystem, {
    get(target, name) {
      const original = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        number += 1;
        const code = failsWith(name as Call, number);
        if (code !== undefined && name === 'close') original.apply(target, args);
        if (code !== undefined && name === 'write') original.apply(target, begun(args as Parameters<FileSystem['write']>, code));
        if (code !== undefined) throw errorLike(String(name), code);
        return original.apply(target, args);
      };
    },
  });
}

/** Of a write, what the disk takes before it is full or fails: half, or a byte. Other errors come before anything is written. */
function begun([descriptor, bytes, position]: Parameters<FileSystem['write']>, code: string): Parameters<FileSystem['write']> {
  const written = { EIO: bytes.length >> 1, ENOSPC: bytes.length >> 1, EFBIG: bytes.length >> 1, EDQUOT: 1 }[code] ?? 0;
  return [descriptor, bytes.subarray(0, Math.min(written, bytes.length - 1)), position];
}

/** As the real file system throws it. */
export function errorLike(call: string, code: string): KdumpError {
  return new KdumpError('io', `cannot ${call}: made up (${code})`, { cause: Object.assign(new Error(code), { code }) });
}
