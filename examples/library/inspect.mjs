// What is in an image: memory in the dump, CPUs, room for more, and what is wrong with it.
//
//   node inspect.mjs before.kdump
import { capacityOf, closeImage, crashMemoryOf, formatRange, knownCpus, nodeFileSystem, openImage, soundFindings } from 'kdump-hotplug';

const [path] = process.argv.slice(2);
// The container is recognised from the content: a packed image, an ELF dump, or plain memory such as a guest's RAM file.
const image = openImage(nodeFileSystem, path);
try {
  console.log(`${image.format} image of ${image.architecture.name}`);
  for (const { name, address } of image.segments) console.log(`segment ${name} at 0x${address.toString(16)}`);
  for (const { kind, range } of crashMemoryOf(image).ranges) console.log(`${kind} ${formatRange(range)}`);
  for (const { id, threads } of knownCpus(image)) console.log(`CPU ${id}, threads ${threads.join(' ')}`);
  const { memoryRanges, cpus } = capacityOf(image);
  console.log(`room for ${memoryRanges} memory ranges and ${cpus ?? 'no'} CPUs`);
  for (const { severity, code, message } of soundFindings(image)) console.log(`${severity} ${code}: ${message}`);
} finally {
  closeImage(image);
}
