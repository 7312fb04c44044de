import { dirname, resolve, sep } from 'node:path';
import { Option } from 'commander';
import { architectureNamed, architectures } from '../../arch/registry.js';
import { alignUp } from '../../bytes/align.js';
import { KdumpError, printable, within } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import { InputFile, readWholeFile } from '../../file/input-file.js';
import { HEAD_SIZE, expectingFile } from '../../file/known-files.js';
import { readersOf, refuseExisting } from '../../file/new-file.js';
import { MAX_MANIFEST, parseManifest, parseSegmentOperand } from '../../image/pack/manifest.js';
import { manifestSources, sourceOfFile } from '../../image/pack/manifest-sources.js';
import type { packImage } from '../../image/pack/pack.js';
import { refuseForeignJournal } from '../../journal/find-journal.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { operand, repeated } from '../options/operand.js';
import { SMALLEST_PAGE } from '../../memory/range.js';
import { parseNumber } from '../../text/numbers.js';
import { makeNewImage } from '../new-image.js';
import type { Outcome } from '../outcome.js';

interface PackOptions extends CommonOptions {
  output: string;
  manifest?: string;
  architecture?: string;
  segment?: readonly ReturnType<typeof parseSegmentOperand>[];
  entry?: bigint;
  allowOutside?: boolean;
  overwrite?: boolean;
}

export const packCommand: CommandDefinition = {
  summary: 'make a packed image from segment files or a manifest',
  define(command, act) {
    command
      .requiredOption('-o, --output <image>', 'the new image')
      .option('--manifest <file>', 'describes the segments, JSON')
      .addOption(new Option('--architecture <name>', 'of the kernel, with --segment').choices(architectures.map((each) => each.name)))
      .option('--segment <name=file@addr[+memsz]>', 'a segment; repeatable', repeated(parseSegmentOperand))
      .option('--entry <addr>', 'kexec entry point, with --segment', operand(parseNumber))
      .option('--allow-outside', "with --manifest: also takes files outside the manifest's folder")
      .option('--overwrite', 'replace an existing output file')
      .action((options: PackOptions) => {
        act(options, (context) => pack(context, options));
      });
  },
};

function pack(context: Context, options: PackOptions): Outcome {
  const { fileSystem } = context;
  refuseExisting(fileSystem, options.output, options.overwrite === true);
  refuseForeignJournal(fileSystem, options.output);
  const open: InputFile[] = [];
  const openFile = (path: string): InputFile => {
    const file = InputFile.open(fileSystem, path);
    open.push(file);
    return file;
  };
  try {
    makeNewImage(context, options.output, imageFrom(fileSystem, options, openFile), options.overwrite);
  } finally {
    for (const file of open) file.close();
  }
  return 'done';
}

function imageFrom(fileSystem: FileSystem, options: PackOptions, openFile: (path: string) => InputFile): Parameters<typeof packImage>[2] {
  const { manifest, architecture: name, segment: segments = [], entry = null, allowOutside = false } = options;
  if (manifest !== undefined) {
    if (name !== undefined || segments.length > 0 || entry !== null) {
      throw new KdumpError('usage', '--manifest says it all', {
        found: 'other options that describe segments',
        expected: '--manifest, or --architecture with --segment',
      });
    }
    const from = readersOf(fileSystem, manifest);
    const text = Buffer.from(readWholeFile(fileSystem, manifest, MAX_MANIFEST)).toString('utf8');
    return within({ file: manifest }, () => {
      const parsed = expectingFile('json', 'a manifest', Buffer.from(text.slice(0, HEAD_SIZE)), () => parseManifest(text));
      const beside = (path: string): InputFile =>
        openFile(allowOutside ? resolve(dirname(manifest), path) : insideFolder(fileSystem, dirname(manifest), path));
      return { ...parsed, segments: manifestSources(parsed.segments, parsed.architecture.byteOrder, beside, from) };
    });
  }
  if (name === undefined || segments.length === 0) {
    throw new KdumpError('usage', 'nothing to pack', { expected: '--manifest, or --architecture with --segment' });
  }
  return {
    architecture: architectureNamed(name),
    entry,
    segments: segments.map((segment) => {
      const file = openFile(segment.path);
      return sourceOfFile({ ...segment, memsz: segment.memsz ?? alignUp(file.size, SMALLEST_PAGE) }, file);
    }),
  };
}

/**
 * Where the file `path` of a manifest in `folder` really is. A manifest may come from anybody: it chooses no file of the reader's to be put into an
 * image that is passed on.
 *
 * @throws KdumpError `refused` when a path or a link leads out of the folder
 */
function insideFolder(fileSystem: FileSystem, folder: string, path: string): string {
  const named = resolve(folder, path);
  if (!fileSystem.exists(named)) return named;
  const root = fileSystem.realPath(folder);
  const real = fileSystem.realPath(named);
  if (real.startsWith(root.endsWith(sep) ? root : root + sep)) return real;
  throw new KdumpError('refused', "a file outside the manifest's folder", {
    found: printable(path === real ? path : `${path}, which is ${real}`),
    expected: `a file below ${printable(root)}`,
    remedy: '--allow-outside takes it all the same, if you trust whoever wrote the manifest',
  });
}
