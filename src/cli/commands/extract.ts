import { join } from 'node:path';
import { Argument } from 'commander';
import { KdumpError, hex, printable } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import { makeFiles, refuseExisting, type NewFile } from '../../file/new-file.js';
import type { KdumpImage } from '../../image/image.js';
import { closeImage } from '../../image/open.js';
import { segmentSources, type SegmentSource } from '../../image/pack/pack.js';
import { SEGMENT_NAMES, segmentNameOf, type SegmentName } from '../../kexec/segment.js';
import type { CommandDefinition, CommonOptions, Context } from '../command.js';
import { jsonText } from '../../text/json-text.js';
import { sizeToJson } from '../../text/numbers.js';
import { openImageFrom } from '../open-image.js';
import { IMAGE_ARGUMENT, addImageOptions, type ImageOptions } from '../options/image-options.js';
import { choice } from '../options/operand.js';
import type { Outcome } from '../outcome.js';
import { writingSegments } from '../progress-of.js';

interface ExtractOptions extends CommonOptions, ImageOptions {
  directory: string;
  manifest?: boolean;
  overwrite?: boolean;
}

interface Extracted {
  readonly source: SegmentSource;
  /** null for a segment without contents, which needs no file. */
  readonly file: string | null;
}

export const extractCommand: CommandDefinition = {
  summary: 'take segments out, each into a file of its own',
  define(command, act) {
    command
      .argument('<image>', IMAGE_ARGUMENT)
      .addArgument(
        new Argument('[segment...]', 'all without it')
          .choices(SEGMENT_NAMES)
          .argParser((text, before: SegmentName[] | undefined) => [...(before ?? []), choice(SEGMENT_NAMES, segmentNameOf)(text)]),
      )
      .option('-d, --directory <dir>', 'where the files go', '.')
      .option('--manifest', 'also write the manifest that pack takes')
      .option('--overwrite', 'replace existing output files');
    addImageOptions(command).action((path: string, names: SegmentName[] | undefined, options: ExtractOptions) => {
      act(options, (context) => extract(context, path, names ?? [], options));
    });
  },
};

function extract(
  { fileSystem, console, progress }: Context,
  path: string,
  names: readonly SegmentName[],
  options: ExtractOptions,
): Outcome {
  const image = openImageFrom({ fileSystem, console, progress }, path, options);
  try {
    const overwrite = options.overwrite === true;
    const all = segmentSources(image).map((source, index): Extracted => ({
      source,
      file: source.size === 0n ? null : fileName(source.name, index),
    }));
    const wanted = names.length === 0 ? all : names.flatMap((name) => chosen(path, all, name));
    const manifest = options.manifest === true ? join(options.directory, 'manifest.json') : undefined;
    const target = (file: string): string => join(options.directory, file);
    const files = wanted.flatMap(({ source, file }): NewFile[] =>
      file === null
        ? []
        : [
            {
              path: target(file),
              fill: (descriptor) => {
                writeSegment(fileSystem, descriptor, source);
              },
            },
          ],
    );
    if (manifest !== undefined) {
      const text = Buffer.from(`${jsonText(manifestOf(image, all), 2)}\n`);
      files.push({
        path: manifest,
        fill: (descriptor) => {
          fileSystem.write(descriptor, text, 0);
        },
      });
    }
    for (const { path: made } of files) refuseExisting(fileSystem, made, overwrite);

    fileSystem.makeDirectory(options.directory);
    const writing = writingSegments(
      options.directory,
      wanted.map(({ source }) => source),
    );
    progress.during(writing, () => {
      makeFiles(fileSystem, overwrite, [image.memory.status], files);
    });
    const rows = wanted.map(({ source, file }) => ({
      name: source.name,
      address: hex(source.address),
      size: sizeToJson(source.size),
      file: file === null ? null : target(file),
    }));
    console.result(
      () => ({ file: path, interrupted: image.isInterrupted, segments: rows, manifest: manifest ?? null }),
      () =>
        [
          ...rows.map((row) => (row.file === null ? `${row.name}: nothing stored` : `${printable(row.file)}  ${row.size} bytes`)),
          ...(manifest === undefined ? [] : [printable(manifest)]),
        ].join('\n'),
    );
    return 'done';
  } finally {
    closeImage(image);
  }
}

function chosen(file: string, all: readonly Extracted[], name: SegmentName): Extracted[] {
  const found = all.filter(({ source }) => source.name === name);
  if (found.length > 0) return found;
  throw new KdumpError('input', 'the image has no such segment', {
    file,
    found: name,
    expected: [...new Set(all.map(({ source }) => source.name))].join(', '),
  });
}

function fileName(name: SegmentName, index: number): string {
  return name === 'fdt' ? 'fdt.dtb' : name === 'other' ? `segment${index}.bin` : `${name}.bin`;
}

function writeSegment(fileSystem: FileSystem, descriptor: number, source: SegmentSource): void {
  let position = 0;
  for (const piece of source.contents()) {
    fileSystem.write(descriptor, piece, position);
    position += piece.length;
  }
}

/** What `pack --manifest` takes, so that it makes the same image again. */
function manifestOf({ architecture, entry }: KdumpImage, all: readonly Extracted[]): object {
  return {
    architecture: architecture.name,
    ...(entry === null ? {} : { entry: hex(entry) }),
    segments: all.map(({ source, file }) => ({
      name: source.name,
      address: hex(source.address),
      memsz: hex(source.memsz),
      ...(file === null ? { fill: 0 } : { file }),
    })),
  };
}
