// Does an image match its machine? The machine's /proc/iomem and device tree may be copies, made there and brought here.
//
//   node check.mjs before.kdump iomem.txt device-tree/
import { checkImage, closeImage, formatRange, nodeFileSystem, openImage, readMachineState } from 'kdump-hotplug';

const [path, iomem, deviceTree] = process.argv.slice(2);
const state = readMachineState(nodeFileSystem, { iomem, deviceTree });
const image = openImage(nodeFileSystem, path);
try {
  const { sound, current, digest, compared, missingMemory, missingCpus } = checkImage(image, state);
  console.log(`sound: ${sound}, current: ${current}, digest: ${digest}`);
  // Lists of what was not compared are null.
  if (!compared.memory || !compared.cpus) console.log(`compared: ${JSON.stringify(compared)}`);
  for (const range of missingMemory ?? []) console.log(`a dump would miss ${formatRange(range)}`);
  for (const id of missingCpus ?? []) console.log(`a crash on CPU ${id} gives no dump`);
} finally {
  closeImage(image);
}
