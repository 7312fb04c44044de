import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { architectures } from '../../src/arch/registry.js';
import { nodeFileSystem } from '../../src/file/node-file-system.js';
import { closeImage, openImage } from '../../src/image/open.js';
import { EventReader } from '../../src/machine/events/event-reader.js';
import { planBurst, reportWithoutImage } from '../../src/watch/plan-burst.js';
import { needsImage } from '../../src/watch/resolve.js';
import { RAM_SIZE, build, load, packedFile, partsOf, type ArchitectureName } from '../helpers/build-image.js';
import { processorTime } from '../helpers/processor-time.js';
import { scratchFolder } from '../helpers/run.js';

// `udevadm trigger --action=add`, at boot and at every package update, tells of all memory blocks that there are (systemd PR 16910). Nothing came,
// so no event changes the image, and none is an error: the form is that of `udevadm monitor --property`.

const folder = scratchFolder();
const BLOCK = 8n << 20n;
const BLOCKS = Number(RAM_SIZE / BLOCK);
let images = 0;

function eventsOf(numbers: readonly number[], { action = 'add', more = '' } = {}): ReturnType<EventReader['push']> {
  const text = numbers.map((number, index) => {
    const path = `/devices/system/memory/memory${number}`;
    return `KERNEL[100.${index}] ${action}      ${path} (memory)\nACTION=${action}\nDEVPATH=${path}\nSUBSYSTEM=memory\n${more}SEQNUM=${index}\n\n`;
  });
  const reader = new EventReader();
  return [...reader.push(Buffer.from(text.join(''))), ...reader.end()];
}

/** What becomes of events: outcome and reason. */
function watched(path: string, events: ReturnType<typeof eventsOf>, states?: (name: string) => string): [string, string][] {
  const image = openImage(nodeFileSystem, path);
  try {
    const context = { image, blockSize: BLOCK, blockState: states, removedThreads: new Set<number>() };
    const { reports } = planBurst(events.filter(needsImage), context, {});
    const done = new Map(reports.map((report) => [report.event, report]));
    return events.map((event) => {
      const { outcome, reason } = done.get(event) ?? reportWithoutImage(event);
      return [outcome, reason];
    });
  } finally {
    closeImage(image);
  }
}

/** 64 MiB from the start of RAM on, with a hole in the last block, and whatever `more` leaves out. */
function imageOf(
  architecture: ArchitectureName,
  more: (first: bigint) => readonly [bigint, bigint][] = () => [],
): { path: string; numbers: number[] } {
  const parts = partsOf(architecture);
  const { base, linear } = parts.facts;
  const loads = parts.programHeaders.splice(-2);
  for (const { paddr, memsz } of loads) {
    let start = paddr;
    const end = paddr + memsz === base + RAM_SIZE ? base + RAM_SIZE - (BLOCK >> 1n) : paddr + memsz;
    for (const [from, to] of more(base).filter(([from]) => from >= paddr && from < end)) {
      parts.programHeaders.push(load(start, from - start, linear));
      start = to;
    }
    parts.programHeaders.push(load(start, end - start, linear));
  }
  const path = packedFile(join(folder, `${architecture}-${(images += 1)}.kdump`), build(parts)).path;
  return { path, numbers: Array.from({ length: BLOCKS }, (_, index) => Number(base / BLOCK) + index) };
}

const changeable = architectures.filter(({ refusesChanges }) => refusesChanges === undefined).map(({ name }) => name);

describe.each(changeable)('%s', (name) => {
  const { path, numbers } = imageOf(name);

  test('blocks that were there all along are nothing to do, with the crashkernel range, holes and the first MiB in them', () => {
    for (const states of [undefined, () => 'online']) {
      const reports = watched(path, eventsOf(numbers), states);
      expect(reports.map(([outcome]) => outcome)).toEqual(numbers.map(() => 'nothing to do'));
      expect(reports.at(-1)?.[1]).toMatch(/but for a hole/);
    }
  });

  test('a block that really comes is added, with a word where nothing tells whether it is online', () => {
    const next = [(numbers.at(-1) ?? 0) + 1];
    expect(watched(path, eventsOf(next))).toEqual([['applied', expect.stringContaining('whether it is online is not known') as string]]);
    expect(watched(path, eventsOf(next), () => 'online')).toEqual([['applied', '']]);
    expect(watched(path, eventsOf(next), () => 'offline')).toEqual([['nothing to do', 'the block is not online yet']]);
  });

  test('a block with a hole that is said to come online is refused: none can', () => {
    expect(watched(path, eventsOf(numbers.slice(-1), { action: 'online' }))[0]?.[0]).toBe('refused');
  });
});

describe('synthetic events', () => {
  // A second crashkernel range, which nothing in the image names.
  const { path, numbers } = imageOf('x86_64', (base) => [[base + BLOCK, base + 3n * BLOCK]]);

  test.each(['SYNTH_UUID=0\n', 'SYNTH_UUID=fe4d7c9d-b8c6-4a70-9ef1-3d8a58d18eed\n'])('change nothing, whatever they say: %s', (more) => {
    for (const action of ['add', 'remove', 'online', 'offline']) {
      const reports = watched(path, eventsOf([...numbers, 1000], { action, more }));
      expect(new Set(reports.map(([outcome, reason]) => `${outcome}: ${reason.slice(0, 17)}`))).toEqual(
        new Set(['nothing to do: a synthetic event']),
      );
    }
  });

  test('a synthetic change is ignored, as any other', () => {
    expect(watched(path, eventsOf([1], { action: 'change', more: 'SYNTH_UUID=0\n' }))[0]?.[0]).toBe('ignored');
  });
});

test('8,192 events of blocks that are there take the time of their number', () => {
  const { path, numbers } = imageOf('ppc64le');
  const events = eventsOf(Array.from({ length: 8192 }, (_, index) => numbers[index % 7] ?? 0));
  const started = processorTime();
  expect(new Set(watched(path, events).map(([outcome]) => outcome))).toEqual(new Set(['nothing to do']));
  expect(processorTime() - started).toBeLessThan(2000);
});
