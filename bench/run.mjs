// npm run bench [-- [--quick] [--docs] [--json <file>] [group…]]: measures this build against other programs, all in one run. docs/performance.md tells
// what the figures mean.
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as groups from './groups.mjs';
import { writeFigures } from './markdown.mjs';
import { Peers, versions } from './peers.mjs';
import { resultTable, targetTable } from './table.mjs';

const GIB = 2 ** 30;
const ALL = ['commands', 'fdt', 'elfcorehdr', 'finding', 'changes', 'traffic', 'digest'];
/** For the 4 GiB of a guest's memory, which is such a file in practice; where there is no room they go to the disk. */
const SHARED_MEMORY = '/dev/shm';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    docs: { type: 'boolean' },
    json: { type: 'string', default: fileURLToPath(new URL('results.json', import.meta.url)) },
  },
});
for (const name of positionals) if (!ALL.includes(name)) throw new Error(`no group ${name}: there are ${ALL.join(', ')}`);

function room(path) {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

const directory = mkdtempSync(join(tmpdir(), 'kdump-hotplug-bench-'));
const memoryDirectory = room(SHARED_MEMORY) > 6 * GIB ? mkdtempSync(join(SHARED_MEMORY, 'kdump-hotplug-bench-')) : directory;
process.once('SIGINT', () => process.exit(130));
process.once('exit', () => {
  for (const each of [directory, memoryDirectory]) rmSync(each, { recursive: true, force: true });
});

const peers = new Peers(directory);
const machine = { cpu: cpus()[0].model, cores: cpus().length, memory: totalmem(), load: loadavg(), ...versions() };
const report = { machine, sections: [], targets: [] };
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node.js ${machine.node}; load ${loadavg()[0].toFixed(1)}\n`);
for (const name of positionals.length > 0 ? positionals : ALL) {
  const { sections, targets, ...more } = await groups[name]({ directory, memoryDirectory, peers, quick: options.quick === true });
  for (const { title, results, base } of sections) console.log(`${resultTable(title, results, base)}\n`);
  report.sections.push(...sections);
  report.targets.push(...targets);
  Object.assign(report, more);
}
report.absent = [...peers.absent];
report.loadAfter = loadavg();
console.log(targetTable(report.targets));
if (report.absent.length > 0) console.log(`\nLeft out, since absent: ${report.absent.join(', ')}`);
writeFileSync(options.json, `${JSON.stringify(report, null, 1)}\n`);
if (options.docs === true) writeFigures(fileURLToPath(new URL('../docs/performance.md', import.meta.url)), report);
