import type { ErrorCode } from '../codes.js';
import { KdumpError, printable } from '../errors.js';

/** What an errno means, in words and as the code of an error. */
const MEANINGS: Readonly<Record<string, readonly [reason: string, code: ErrorCode]>> = {
  ENOENT: ['no such file or directory', 'not-found'],
  EACCES: ['permission denied', 'permission'],
  EPERM: ['operation not permitted', 'permission'],
  EEXIST: ['it exists already', 'exists'],
  EISDIR: ['it is a directory', 'wrong-type'],
  ENOTDIR: ['a part of the path is not a directory', 'wrong-type'],
  ENAMETOOLONG: ['the name is too long', 'wrong-type'],
  ELOOP: ['too many symbolic links', 'wrong-type'],
  ENXIO: ['it is a socket or a device without a driver', 'wrong-type'],
  ENOSPC: ['no space left on the device', 'no-space'],
  EDQUOT: ['disk quota exceeded', 'no-space'],
  EROFS: ['the file system is read-only', 'read-only'],
  EFBIG: ['file too large for the file system or the limit of this process', 'too-large'],
  EIO: ['input/output error of the device', 'device-failed'],
  ENODEV: ['no such device', 'device-failed'],
  ESTALE: ['the file is gone from its server', 'changed'],
  EMFILE: ['too many open files', 'no-resources'],
  ENFILE: ['too many open files on this machine', 'no-resources'],
  ENOMEM: ['out of memory', 'no-resources'],
  EBUSY: ['the device or file is busy', 'busy'],
  ETXTBSY: ['the file is being executed', 'busy'],
  EAGAIN: ['it is not available at the moment', 'busy'],
  ECONNREFUSED: ['nobody listens on the socket', 'not-found'],
};

/** The KdumpError for what a system call threw. @param what was tried, such as `open` */
export function systemError(what: string, file: string, error: unknown): KdumpError {
  return new KdumpError('io', `cannot ${what}: ${reasonOf(error)}`, { file, code: codeOf(error), cause: error });
}

/** What a system call threw, in words. */
export function reasonOf(error: unknown): string {
  const errno = errnoOf(error);
  return errno === undefined ? printable(String(error)) : `${MEANINGS[errno]?.[0] ?? 'the system refused'} (${errno})`;
}

/** The code for what a system call threw, where it is one of those that are told apart. */
export function codeOf(error: unknown): ErrorCode | undefined {
  return MEANINGS[errnoOf(error) ?? '']?.[1];
}

/** The name of the errno, such as `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
