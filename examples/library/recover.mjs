// Rolls back a patch that was interrupted, by a power cut or kill -9. openForPatching does the same; this is for doing nothing else.
//
//   node recover.mjs image.kdump
import { closeTarget, nodeFileSystem, openTarget, recover } from 'kdump-hotplug';

const [path] = process.argv.slice(2);
const target = openTarget(nodeFileSystem, path);
try {
  // `none`, `untouched`, `rolled back`; with { forward: true } `finished`.
  console.log(recover(target));
} finally {
  closeTarget(target);
}
