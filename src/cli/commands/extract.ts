import { join } from 'node:path';
import { KdumpError, hex, printable } from '../../errors.js';
import type { FileSystem } from '../../file/file-system.js';
import { makeFile, refuseExisting } from '../../file/new-file.js';
import type { KdumpImage } from '../../image/image.js';
import { closeImage } from '../../image/open.js';
import { segmentSources, type SegmentSource } from '../../image/pack.js';
import { SEGMENT_NAMES, type SegmentName } from '../../image/segment.js';
import type { Console } from '../console.js';
import { sizeToJson } from '../json.js';
import { openImageFrom, type ImageOptions } from '../options.js';
import type { Outcome } from '../outcome.js';

export interface ExtractOptions extends ImageOptions {
  directory: string;
  manifest?: boolean;
  overwrite?: boolean;
  json?: boolean;
}

interface Extracted {
  readonly source: SegmentSource;
  /** null for a segment without contents, which needs no file. */
  readonly file: string | null;
}

export function extract(
  fileSystem: FileSystem,
  path: string,
  names: readonly string[],
  options: ExtractOptions,
  console: Console,
): Outcome {
  const image = openImageFrom(fileSystem, path, options);
  try {
    const overwrite = options.overwrite === true;
    const all = segmentSources(image).map((source, index): Extracted => ({
      source,
      file: source.size === 0n ? null : fileName(source.name, index),
    }));
    const wanted = names.length === 0 ? all : names.flatMap((name) => chosen(all, name));
    const manifest = options.manifest === true ? join(options.directory, 'manifest.json') : undefined;
    const target = (file: string): string => join(options.directory, file);
    for (const { file } of wanted) if (file !== null) refuseExisting(fileSystem, target(file), overwrite);
    if (manifest !== undefined) refuseExisting(fileSystem, manifest, overwrite);

    fileSystem.makeDirectory(options.directory);
    for (const { source, file } of wanted) if (file !== null) writeSegment(fileSystem, target(file), source, overwrite);
    if (manifest !== undefined) {
      const text = Buffer.from(`${JSON.stringify(manifestOf(image, all), null, 2)}\n`);
      makeFile(fileSystem, manifest, overwrite, (descriptor) => {
        fileSystem.write(descriptor, text, 0);
      });
    }
    const rows = wanted.map(({ source, file }) => ({
      name: source.name,
      address: hex(source.address),
      size: sizeToJson(source.size),
      file: file === null ? null : target(file),
    }));
    console.print(
      options.json === true
        ? JSON.stringify({ file: path, segments: rows, manifest: manifest ?? null }, null, 2)
        : [
            ...rows.map((row) => (row.file === null ? `${row.name}: nothing stored` : `${printable(row.file)}  ${row.size} bytes`)),
            ...(manifest === undefined ? [] : [printable(manifest)]),
          ].join('\n'),
    );
    return 'done';
  } finally {
    closeImage(image);
  }
}

function chosen(all: readonly Extracted[], name: string): Extracted[] {
  const found = all.filter(({ source }) => source.name === name);
  if (found.length > 0) return found;
  const known = SEGMENT_NAMES.includes(name as SegmentName);
  throw new KdumpError(known ? 'input' : 'usage', known ? 'the image has no such segment' : 'unknown segment name', {
    found: printable(name),
    expected: [...new Set(all.map(({ source }) => source.name))].join(', '),
  });
}

function fileName(name: SegmentName, index: number): string {
  return name === 'fdt' ? 'fdt.dtb' : name === 'other' ? `segment${index}.bin` : `${name}.bin`;
}

function writeSegment(fileSystem: FileSystem, path: string, source: SegmentSource, overwrite: boolean): void {
  makeFile(fileSystem, path, overwrite, (descriptor) => {
    let position = 0;
    for (const piece of source.contents()) {
      fileSystem.write(descriptor, piece, position);
      position += piece.length;
    }
  });
}

/** What `pack --manifest` takes, so that it makes the same image again. */
function manifestOf({ architecture, entry }: KdumpImage, all: readonly Extracted[]): object {
  return {
    architecture: architecture.name,
    ...(entry === null ? {} : { entry: hex(entry) }),
    segments: all.map(({ source, file }) => ({
      name: source.name,
      address: hex(source.address),
      memorySize: hex(source.memorySize),
      ...(file === null ? { fill: 0 } : { file }),
    })),
  };
}
