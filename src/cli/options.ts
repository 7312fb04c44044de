import { InvalidArgumentError, Option, type Command } from 'commander';
import { KdumpError } from '../errors.js';
import type { FileSystem } from '../file/file-system.js';
import { readWholeFile } from '../file/input-file.js';
import { MAX_KEXEC_LOG, parseKexecLog } from '../image/kexec-log.js';
import { openImage, type OpenImageOptions } from '../image/open.js';
import type { ImageFormat } from '../image/recognise.js';
import type { KdumpImage } from '../image/image.js';
import type { Range } from '../memory/range.js';
import { parseMapping, parseNumber, parseRange, type Mapping } from '../text/numbers.js';

/** Values of the options of every command that takes an image. */
export interface ImageOptions {
  format?: ImageFormat;
  base?: bigint;
  map?: readonly Mapping[];
  crashKernel?: Range;
  kexecLog?: string;
}

export function addImageOptions(command: Command): Command {
  return command
    .addOption(new Option('--format <format>', 'container; recognised from the content without it').choices(['kdump', 'elf-core', 'raw']))
    .option('--base <addr>', 'raw: physical address of file offset 0 (default 0)', operand(parseNumber))
    .option('--map <file-offset:addr:size>', 'raw: where a piece of the file lies in physical memory; repeatable', repeated(parseMapping))
    .option('--crash-kernel <range>', 'look for segments only there ("Crash kernel" of /proc/iomem)', operand(parseRange))
    .option('--kexec-log <file>', 'take the segment table from the output of kexec -d or the kernel log');
}

/** Reads an option's operand; what is wrong with it is a usage error that names the option. */
export function operand<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw error instanceof KdumpError ? new InvalidArgumentError(error.message) : error;
    }
  };
}

export function repeated<T>(parse: (text: string) => T): (text: string, before: readonly T[] | undefined) => T[] {
  const read = operand(parse);
  return (text, before) => [...(before ?? []), read(text)];
}

/** Opens the image that the options describe. */
export function openImageFrom(fileSystem: FileSystem, path: string, options: ImageOptions, writable = false): KdumpImage {
  const { kexecLog, ...rest } = options;
  const open: OpenImageOptions = { writable };
  if (rest.format !== undefined) open.format = rest.format;
  if (rest.base !== undefined) open.base = rest.base;
  if (rest.map !== undefined) open.map = rest.map;
  if (rest.crashKernel !== undefined) open.crashKernel = rest.crashKernel;
  if (kexecLog !== undefined) open.segmentTable = readKexecLog(fileSystem, kexecLog);
  return openImage(fileSystem, path, open);
}

function readKexecLog(fileSystem: FileSystem, path: string): ReturnType<typeof parseKexecLog> {
  const text = Buffer.from(readWholeFile(fileSystem, path, MAX_KEXEC_LOG)).toString('latin1');
  try {
    return parseKexecLog(text);
  } catch (error) {
    throw error instanceof KdumpError ? error.within({ file: path }) : error;
  }
}
