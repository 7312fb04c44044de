// What is measured, group by group. Each gives results by name and the targets that they are held to.
import { readFileSync, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deviceTree, encodeNodes, liveNodes } from './inputs/device-tree.mjs';
import { kexecLog, segmentsOf, writeMemory, writePacked } from './inputs/image.mjs';
import { Worker, roundRobin } from './rounds.mjs';
import { time } from './table.mjs';
import { trafficOf } from './traffic.mjs';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RSS_LIMIT = 128 * MIB;
/** Rounds until V8 has compiled all that is used. */
const WARM_UP = 60;
const PROGRAM = fileURLToPath(new URL('../dist/kdump-hotplug.cjs', import.meta.url));
const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url));

function worker(...words) {
  return new Worker(process.execPath, [WORKER, ...words]);
}

/** Runs the workers round robin, those that are undefined left out. */
async function together(workers, rounds, warmUp) {
  const present = Object.entries(workers).filter(([, each]) => each !== undefined);
  const results = await roundRobin(Object.fromEntries(present.map(([name, each]) => [name, () => each.ask()])), rounds, warmUp);
  for (const [, each] of present) await each.end();
  return results;
}

const atMost = (what, ratio, limit, unit = ' x') => ({
  what,
  wanted: `at most ${limit}${unit}`,
  measured: `${ratio.toPrecision(3)}${unit}`,
  met: ratio <= limit,
});
const atLeast = (what, ratio, limit, unit = ' x') => ({
  what,
  wanted: `at least ${limit}${unit}`,
  measured: `${ratio.toPrecision(3)}${unit}`,
  met: ratio >= limit,
});
const within = (what, bytes, limit) => ({ what, wanted: `at most ${limit} bytes`, measured: `${bytes}`, met: bytes <= limit });
const resident = (what, bytes) => atMost(`${what}: RSS`, bytes / MIB, RSS_LIMIT / MIB, ' MiB');

/** Whole processes, from fork to exit. */
export async function commands({ directory, peers, quick }) {
  const run = peers.compiled('run');
  if (run === undefined) return { sections: [], targets: [] };
  const file = (name) => join(directory, name);
  const images = { '64 MiB': 64 * MIB, '1 GiB': GIB, '64 GiB': 64 * GIB };
  for (const [name, initrdSize] of Object.entries(images)) writePacked(file(name), segmentsOf({ initrdSize }));
  const dense = segmentsOf({ initrdSize: GIB, contents: 'dense' });
  writePacked(file('dense'), dense);
  writePacked(
    file('covered'),
    segmentsOf({ initrdSize: GIB, contents: 'dense', covers: ['kernel', 'backup', 'elfcorehdr', 'initrd', 'fdt'] }),
  );
  const image = segmentsOf({ initrdSize: 64 * MIB });
  for (const name of ['elfcorehdr', 'fdt']) writeFileSync(file(name), [...image.segments.find((each) => each.name === name).contents()][0]);

  // Behind the largest of the images.
  const memory = '0x10000000000+256M';
  const change = (round) => [round % 2 === 0 ? '--add-memory' : '--remove-memory', memory];
  const node = process.execPath;
  const runner = new Worker(run);
  const turn = (words) => async (round) => {
    const command = words(round);
    const [nanoseconds, rss, status] = await runner.ask(command.join('\t'));
    if (status !== 0) throw new Error(`${command.join(' ')}: exit status ${status}`);
    return [nanoseconds, rss];
  };
  const peer = (program, words) => (peers.installed(program) === undefined ? undefined : turn(words));
  const present = (turns) => Object.fromEntries(Object.entries(turns).filter(([, each]) => each !== undefined));

  const short = await roundRobin(
    present({
      'node -e 0': turn(() => [node, '-e', '0']),
      ...Object.fromEntries(Object.keys(images).map((name) => [`inspect, ${name}`, turn(() => [PROGRAM, 'inspect', file(name)])])),
      ...Object.fromEntries(
        Object.keys(images).map((name) => [`apply, ${name}`, turn((round) => [PROGRAM, 'apply', file(name), ...change(round)])]),
      ),
      'apply, 1 GiB dense': turn((round) => [PROGRAM, 'apply', file('dense'), ...change(round)]),
      fdtput: peer('fdtput', () => ['fdtput', file('fdt'), '/chosen', 'bootargs', '-ts', 'console=hvc0']),
      'readelf -lW': peer('readelf', () => ['readelf', '-lW', file('elfcorehdr')]),
    }),
    quick ? 6 : 30,
    2,
  );
  const long = await roundRobin(
    present({
      'apply, 1 GiB dense': turn((round) => [PROGRAM, 'apply', file('dense'), ...change(round)]),
      'apply, all of 1 GiB in the digest': turn((round) => [PROGRAM, 'apply', file('covered'), ...change(round)]),
      'objcopy --update-section': peer('objcopy', () => [
        'objcopy',
        '--update-section',
        `.kexec.elfcorehdr=${file('elfcorehdr')}`,
        file('dense'),
        file('copied'),
      ]),
      cp: peer('cp', () => ['cp', file('dense'), file('copied')]),
    }),
    quick ? 2 : 6,
    2,
  );
  await runner.end();
  for (const name of [...Object.keys(images), 'dense', 'covered', 'copied']) rmSync(file(name), { force: true });

  const ratio = (name, base) => short[name].median / short[base].median;
  const targets = [
    atMost('inspect of 1 GiB against node -e 0', ratio('inspect, 1 GiB', 'node -e 0'), 1.35),
    atMost('apply to 1 GiB against node -e 0', ratio('apply, 1 GiB', 'node -e 0'), 1.7),
  ];
  for (const command of ['inspect', 'apply']) {
    for (const size of ['64 MiB', '64 GiB'])
      targets.push(atMost(`${command}, ${size} against 1 GiB`, ratio(`${command}, ${size}`, `${command}, 1 GiB`), 1.1));
  }
  const apply = long['apply, 1 GiB dense'].median;
  for (const name of ['objcopy --update-section', 'cp'])
    if (long[name] !== undefined) targets.push(atLeast(`apply against ${name}, 1 GiB`, long[name].median / apply, 20));
  const covered = Number(
    dense.segments
      .filter(({ name }) => ['kernel', 'backup', 'elfcorehdr', 'initrd', 'fdt'].includes(name))
      .reduce((sum, each) => sum + each.memsz, 0n),
  );
  targets.push(
    atLeast(
      'digest of what changes: covered bytes for the extra time of apply',
      covered / (long['apply, all of 1 GiB in the digest'].median - apply),
      0.8,
      ' GB/s',
    ),
  );
  targets.push(
    resident(
      'commands',
      Math.max(
        ...Object.entries({ ...short, ...long })
          .filter(([name]) => /^(inspect|apply)/.test(name))
          .map(([, { rss }]) => rss),
      ),
    ),
  );
  return {
    sections: [
      { title: 'Commands, whole processes', results: short, base: 'node -e 0' },
      { title: 'Commands on 1 GiB of data', results: long, base: 'apply, 1 GiB dense' },
    ],
    targets,
  };
}

/** All CPU nodes replaced, in one process each. */
export async function fdt({ directory, peers, quick }) {
  const onePass = peers.compiled('fdt-one-pass');
  const libfdt = peers.compiled('fdt-libfdt', '-lfdt');
  const copy = peers.compiled('copy');
  const sections = [];
  const targets = [];
  const medians = new Map();
  for (const count of [8, 64, 512, 2048, 8192]) {
    const [tree, nodes, ours, theirs] = ['tree.dtb', 'nodes', 'ours.dtb', 'theirs.dtb'].map((name) => join(directory, name));
    const blob = deviceTree(count);
    writeFileSync(tree, blob);
    writeFileSync(nodes, encodeNodes(liveNodes(blob)));
    const fast = await together(
      {
        'this program': worker('fdt', tree, ours),
        'one pass in C': onePass && new Worker(onePass, [tree, nodes, theirs]),
        memcpy: copy && new Worker(copy, [tree, '1']),
      },
      quick ? 15 : 60,
      WARM_UP,
    );
    // One update of 2,048 nodes takes libfdt seconds, which would leave nothing of the others in the caches: it has rounds of its own. Time grows
    // with the square of the nodes, so 8,192 are left out.
    const slow =
      libfdt === undefined || count > 2048
        ? {}
        : await together({ libfdt: new Worker(libfdt, [tree, nodes, join(directory, 'libfdt.dtb')]) }, count > 1000 ? 3 : 9, 1);
    const results = { ...fast, ...slow };
    sections.push({ title: `FDT, ${count} CPU nodes replaced (${blob.length} bytes)`, results, base: 'this program' });
    medians.set(count, fast['this program'].median);
    if (onePass !== undefined && !readFileSync(ours).equals(readFileSync(theirs)))
      throw new Error(`${count} nodes: not the bytes of the one pass in C`);
    if (count === 2048) {
      if (results.libfdt !== undefined)
        targets.push(
          atLeast('FDT, 2,048 nodes: against libfdt as the kernel uses it', results.libfdt.median / fast['this program'].median, 400),
        );
      if (onePass !== undefined)
        targets.push(atMost('FDT, 2,048 nodes: against one pass in C', fast['this program'].median / fast['one pass in C'].median, 3));
    }
    targets.push(...(count === 8192 ? [resident('FDT, 8,192 nodes', fast['this program'].rss)] : []));
  }
  const perNode = [...medians].map(([count, median]) => median / count);
  targets.push(atMost('FDT: time for a node at 8,192 against the cheapest of all sizes', perNode.at(-1) / Math.min(...perNode), 2));
  return { sections, targets };
}

/** A large elfcorehdr: 8,192 memory ranges, 2,048 CPUs. */
export async function elfcorehdr({ directory, peers, quick }) {
  const image = segmentsOf({ initrdSize: 64 * MIB, ranges: 8192, notes: 2048 });
  const [, end] = image.crashKernel;
  const path = join(directory, 'ranges.kdump');
  const table = join(directory, 'ranges.elfcorehdr');
  writePacked(path, image);
  writeFileSync(table, [...image.segments.find(({ name }) => name === 'elfcorehdr').contents()][0]);
  const copy = peers.compiled('copy');
  // Behind the first range, so that all others move.
  const start = `0x${(end + 0x10000000n).toString(16)}`;
  const results = await together(
    { 'this program': worker('elfcorehdr', path, start), 'floor: one read, five copies': copy && new Worker(copy, [table, '5', 'read']) },
    quick ? 15 : 60,
    WARM_UP,
  );
  const floor = results['floor: one read, five copies'];
  return {
    sections: [{ title: 'elfcorehdr, 8,192 ranges and 2,048 CPUs: one change', results, base: floor && 'floor: one read, five copies' }],
    targets: [
      ...(floor === undefined
        ? []
        : [atMost('elfcorehdr, 8,192 ranges and 2,048 CPUs: against the floor', results['this program'].median / floor.median, 10)]),
      resident('elfcorehdr, 8,192 ranges', results['this program'].rss),
    ],
  };
}

/** The segments in the memory of a guest. */
export async function finding({ memoryDirectory, quick }) {
  const size = 4 * GIB;
  const image = segmentsOf({ initrdSize: 64 * MIB });
  const path = join(memoryDirectory, 'memory');
  const log = join(memoryDirectory, 'kexec.log');
  writeMemory(path, image, size);
  writeFileSync(log, kexecLog(image));
  const [from, to] = image.crashKernel.map((address) => `0x${address.toString(16)}`);
  const results = await together(
    {
      'no hint': worker('find', path, 'none'),
      '--crash-kernel': worker('find', path, 'crashKernel', from, to),
      '--kexec-log': worker('find', path, 'kexecLog', log),
    },
    quick ? 3 : 9,
    1,
  );
  rmSync(path);
  return {
    sections: [{ title: 'Segments in 4 GiB of memory', results, base: '--kexec-log' }],
    targets: [
      atLeast('finding segments in 4 GiB, no hint', size / results['no hint'].median, 2, ' GB/s'),
      atMost(
        `finding segments, --crash-kernel (${time(results['--crash-kernel'].median)}) against --kexec-log`,
        results['--crash-kernel'].median / results['--kexec-log'].median,
        1.5,
      ),
      resident('finding segments', Math.max(...Object.values(results).map(({ rss }) => rss))),
    ],
  };
}

/** 100,000 changes in one file. */
export async function changes({ directory, quick, peers }) {
  const COUNT = 100_000;
  const files = {
    memory: (index) => ({ memory: { start: `0x${(0x100000000000 + (index >> 1) * 0x10000000).toString(16)}`, size: '256M' } }),
    CPU: (index) => ({ cpu: { id: 2 + ((index >> 1) % 6) } }),
  };
  const run = peers.compiled('run');
  const workers = {};
  const paths = {};
  for (const [name, what] of Object.entries(files)) {
    paths[name] = join(directory, `${name}.json`);
    const list = Array.from({ length: COUNT }, (_, index) =>
      JSON.stringify({ action: index % 2 === 0 ? 'add' : 'remove', ...what(index) }),
    );
    writeFileSync(paths[name], `{"changes":[\n${list.join(',\n')}\n]}\n`);
    workers[`${name} changes`] = worker('changes', paths[name]);
  }
  const results = await together(workers, quick ? 3 : 9, 1);
  const targets = Object.entries(results).map(([name, { median }]) =>
    atLeast(`100,000 ${name}, parsed and planned`, COUNT / (median / 1e9), 50_000, ' a second'),
  );
  const sections = [{ title: '100,000 changes, in one process', results }];
  if (run !== undefined) {
    const runner = new Worker(run);
    const image = join(directory, 'changed.kdump');
    writePacked(image, segmentsOf({ initrdSize: 64 * MIB }));
    const commands = Object.fromEntries(
      Object.entries(paths).map(([name, path]) => [
        `apply --changes, ${name}`,
        () => runner.ask([PROGRAM, 'apply', image, '--quiet', '--prune-cpus', '--changes', path].join('\t')),
      ]),
    );
    const whole = await roundRobin(commands, quick ? 3 : 9, 1);
    await runner.end();
    sections.push({ title: '100,000 changes, whole processes', results: whole });
    for (const [name, { median, rss }] of Object.entries(whole))
      targets.push(
        atLeast(`100,000 changes, ${name}`, COUNT / (median / 1e9), 50_000, ' a second'),
        resident(`100,000 changes, ${name}`, rss),
      );
  }
  return { sections, targets };
}

/** Bytes read and written by one change. */
export function traffic({ directory, memoryDirectory }) {
  const packed = join(directory, 'traffic.kdump');
  const memory = join(memoryDirectory, 'traffic.memory');
  const image = segmentsOf({ initrdSize: GIB });
  writePacked(packed, image);
  writeMemory(memory, segmentsOf({ initrdSize: 64 * MIB }), 2 * GIB);
  const small = segmentsOf({ initrdSize: 64 * MIB });
  const table = {
    segments: small.segments.map(({ address, memsz, size }) => ({ mem: address, memsz: memsz, bufsz: size })),
    entry: undefined,
  };
  const change = { action: 'add', memory: { start: image.crashKernel[1] + 0x100000000n, end: image.crashKernel[1] + 0x110000000n } };
  const counted = {
    'packed image': trafficOf(packed, {}, change),
    'memory with --kexec-log': trafficOf(memory, { format: 'raw', segmentTable: table }, change),
  };
  rmSync(memory);
  return {
    sections: [],
    traffic: counted,
    targets: Object.entries(counted).flatMap(([name, { read, written, description }]) => [
      within(`one memory change, ${name}: written, journal included`, written, 64 << 10),
      within(`one memory change, ${name}: read`, read, description + (64 << 10)),
    ]),
  };
}

/** The digest by itself. */
export async function digest({ directory, quick }) {
  const path = join(directory, 'digest.kdump');
  const image = segmentsOf({ initrdSize: GIB, contents: 'dense', covers: ['kernel', 'backup', 'initrd'] });
  writePacked(path, image);
  const covered = Number(
    image.segments.filter(({ name }) => ['kernel', 'backup', 'initrd'].includes(name)).reduce((sum, { memsz }) => sum + memsz, 0n),
  );
  const results = await together({ 'this program': worker('digest', path) }, quick ? 2 : 7, 1);
  rmSync(path);
  return {
    sections: [{ title: 'Digest of 1 GiB, read and hashed', results }],
    targets: [
      atLeast('digest of 1 GiB', covered / results['this program'].median, 0.8, ' GB/s'),
      resident('digest', results['this program'].rss),
    ],
  };
}
