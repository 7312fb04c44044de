// Begins a patch and ends in the middle of it, as by kill -9: the journal is on the disk, the image half written.
import { applyPlan, nodeFileSystem, openForPatching, planHotplug, rangeOfSize } from 'kdump-hotplug';

const [path] = process.argv.slice(2);
let imageDescriptor = -1;
let writes = 0;
const dying = {
  ...nodeFileSystem,
  write(descriptor, bytes, position) {
    nodeFileSystem.write(descriptor, bytes, position);
    if (descriptor === imageDescriptor && ++writes === 2) process.kill(process.pid, 'SIGKILL');
  },
};
const { target, image } = openForPatching(dying, path);
imageDescriptor = target.file.descriptor;
applyPlan(target, planHotplug(image, [{ action: 'add', memory: rangeOfSize(0x80000000n, 0x10000000n) }]));
