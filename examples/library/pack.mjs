// Makes a packed image of a manifest: an image as text, with the files that it names beside it.
//
//   node pack.mjs manifest.json made.kdump
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { InputFile, manifestSources, nodeFileSystem, packImage, parseManifest } from 'kdump-hotplug';

const [path, output] = process.argv.slice(2);
const { architecture, entry, segments } = parseManifest(readFileSync(path, 'utf8'));
/** @type {InputFile[]} */
const files = [];
try {
  // Where the files come from is up to the caller. They are read while the image is packed, so they stay open until then.
  const sources = manifestSources(segments, architecture.byteOrder, (name) => {
    const file = InputFile.open(nodeFileSystem, resolve(dirname(path), name));
    files.push(file);
    return file;
  });
  packImage(nodeFileSystem, output, { architecture, entry, segments: sources });
  console.log(`${sources.length} segments packed`);
} finally {
  for (const file of files) file.close();
}
