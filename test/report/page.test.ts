import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fixtureImage } from '../helpers/fixtures.js';
import { build, load, partsOf, type Parts } from '../helpers/build-image.js';
import { processorTime } from '../helpers/processor-time.js';
import { scratchFolder } from '../helpers/run.js';
import { HOSTILE, MANY_CPUS, MANY_RANGES, bigImage, hostileImage, iomemOf, manyAt, pack, reportOn } from './samples.js';
import { mistakesIn } from './well-formed.js';

const folder = scratchFolder();
const RAM = [[0n, 0x4000000n]] as const;

/** The text that a reader sees, without tags. */
function textOf(page: string): string {
  return page
    .replace(/<(style|script|title|desc)[^>]*>[^]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&times;/g, '×')
    .replace(/&rsquo;|&#39;/g, "'")
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&amp;/g, '&')
    .replace(/\s+/g, ' ');
}

function headlineOf(page: string): string {
  return /<p class="headline">([^<]*)<\/p>/.exec(page)?.[1] ?? '';
}

function imageOf(name: string, change: (parts: Parts) => void = () => undefined): { path: string; parts: Parts } {
  const parts = partsOf('ppc64le');
  change(parts);
  return { path: pack(folder, name, build(parts)), parts };
}

const plain = imageOf('plain.kdump');
const wholeMachine = { iomem: iomemOf(RAM, plain.parts.crashKernel) };

describe('the answer', () => {
  test('without a machine: sound, and no more is claimed', () => {
    const page = reportOn(plain.path);
    expect(headlineOf(page)).toBe('Sound. Whether it is current was not asked.');
    expect(textOf(page)).toContain('Memory and CPUs were not compared with a machine; that takes --iomem and --device-tree');
  });

  test('current memory, CPUs not asked', () => {
    const page = reportOn(plain.path, { state: wholeMachine });
    expect(headlineOf(page)).toBe('Sound; of the machine, memory alone agrees.');
    expect(textOf(page)).toContain('CPUs were not compared with a machine');
    expect(textOf(page)).toContain('A dump would have 100 % of the machine');
  });

  test('missing memory, with the share cut off and not rounded up', () => {
    const page = reportOn(plain.path, { state: { iomem: iomemOf([...RAM, [0x8000000n, 0x8001000n]], plain.parts.crashKernel) } });
    expect(headlineOf(page)).toBe('A dump would miss 4 KiB of memory.');
    expect(textOf(page)).toContain('A dump would have 99.9 % of the machine');
    expect(page).toMatch(/<tr id="missing-0"[^>]*><th scope="row"><code class="address">0x8000000-0x8000fff<\/code>/);
  });

  test('memory that is gone', () => {
    const { path, parts } = imageOf('gone.kdump', ({ programHeaders, facts }) => {
      programHeaders.push(load(0x8000000n, 0x1000000n, facts.linear));
    });
    const page = reportOn(path, { state: { iomem: iomemOf(RAM, parts.crashKernel) } });
    expect(headlineOf(page)).toBe('Not current: it lists what the machine does not have.');
    expect(page).toContain('id="extra-0"');
    expect(page).toContain('class="bar wide extra"');
  });

  test('memory that is offline is not gone', () => {
    const page = reportOn(plain.path, { state: { ...wholeMachine, offlineMemory: [{ start: 0x3800000n, end: 0x4000000n }] } });
    expect(textOf(page)).toContain('It lists 8 MiB that are offline.');
    expect(page).toContain('aria-label="offline, 8 MiB, 0x3800000-0x3ffffff"');
    expect(page).not.toContain('aria-label="no RAM of the machine');
  });

  test('a share stands beside the sizes that it is of, also where the dump lists more than the machine has', () => {
    const { path, parts } = imageOf('share.kdump', ({ programHeaders, facts }) => {
      programHeaders.push(load(0x8000000n, 0x1000000n, facts.linear));
    });
    const iomem = iomemOf([...RAM, [0x10000000n, 0x11000000n]], parts.crashKernel);
    const text = textOf(reportOn(path, { state: { iomem } }));
    expect(text).toContain('Memory in the dump 64 MiB 48 MiB of the machine’s 64 MiB: 75.0 %');
    expect(text).toContain("A dump would have 75.0 % of the machine's memory: 48 MiB of 64 MiB.");
  });

  test('a remedy is the whole command line, or says why there is none', () => {
    const state = { iomem: iomemOf([...RAM, [0x8000000n, 0x8001000n]], plain.parts.crashKernel) };
    const command = 'kdump-hotplug sync plain.kdump --iomem iomem.txt --device-tree dt';
    expect(textOf(reportOn(plain.path, { state, sync: { command, why: null } }))).toContain(`Remedy ${command} `);
    const none = reportOn(plain.path, { state, sync: { command: null, why: '/proc/kcore can only be read: reload the kdump image' } });
    expect(textOf(none)).toContain('Remedy not possible: /proc/kcore can only be read: reload the kdump image');
  });

  test('what a finding means is not what it says already', () => {
    const page = textOf(reportOn(plain.path, { state: { iomem: iomemOf([[0n, 0x3800000n]], plain.parts.crashKernel) } }));
    expect(page).toMatch(/is listed, and is no System RAM of the machine: reading it for the dump can fail Remedy/);
  });

  test('without an FDT, CPUs are their notes', () => {
    const path = pack(folder, 'notes.kdump', build(partsOf('x86_64')));
    const crashNotes = new Map([0, 1, 2].map((cpu) => [cpu, { address: 0x700000n + BigInt(cpu) * 0x1000n, size: 0x170n }]));
    const cpus = { possible: [0, 1, 2], present: [0, 1, 2], online: [0, 1], crashNotes };
    const text = textOf(reportOn(path, { state: { cpus } }));
    expect(text).toContain('A dump would lack the registers of CPU 2.');
    expect(text).toContain('2 0x702000-0x70216f offline not listed: a dump would lack its registers');
    expect(textOf(reportOn(path))).toContain('They were not compared with the CPUs of a machine: --cpus does that.');
    expect(textOf(reportOn(path))).not.toContain('out of date');
  });

  test('not sound, with the remedy', () => {
    const { path } = imageOf('overlap.kdump', ({ programHeaders, facts }) => {
      programHeaders.push(load(0x3800000n, 0x1000000n, facts.linear));
    });
    const page = reportOn(path);
    expect(headlineOf(page)).toBe('Not sound: a crash may give no dump, or a wrong one.');
    expect(textOf(page)).toMatch(/memory 0x\S+ and 0x\S+ overlap Remedy reload/);
  });

  test('of another boot', () => {
    const page = reportOn(plain.path, { state: { iomem: iomemOf(RAM, { start: 0x3000000n, end: 0x3800000n }) } });
    expect(headlineOf(page)).toBe('Of another boot, or another machine: the crashkernel range lies elsewhere.');
  });
});

describe('before and after', () => {
  const { path } = imageOf('after.kdump', (parts) => {
    parts.programHeaders.pop();
    parts.programHeaders.push(load(0x3000000n, 0x2000000n, parts.facts.linear));
  });
  const page = reportOn(path, { before: plain.path });

  test('reads as a change', () => {
    expect(textOf(page)).toContain('+ added memory 0x4000000-0x4ffffff (16 MiB)');
    expect(textOf(page)).toMatch(/Memory in the dump 48 MiB in 3 ranges 64 MiB in 3 ranges/);
  });

  test('is drawn: before, what changed, now', () => {
    expect([...page.matchAll(/<span class="lane-\d">([^<]*)<\/span>/g)].slice(0, 4).map(([, name]) => name)).toEqual([
      'In the dump before',
      'Changed',
      'In the dump now',
      'Crashkernel and its segments',
    ]);
    expect(page).toMatch(/aria-label="\+ added, 16 MiB, 0x4000000-0x4ffffff"/);
  });

  test('of the same image twice is nothing', () => {
    expect(textOf(reportOn(path, { before: path }))).toContain('Nothing: the two images are the same');
  });
});

describe('hostile text', () => {
  const page = reportOn(hostileImage(folder));

  test('stays text, and the page well-formed', () => {
    expect(mistakesIn(page)).toEqual([]);
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toContain('<img');
  });

  test('is shown in full', () => {
    const text = textOf(page);
    expect(text).toContain(HOSTILE.replace('\u001b', '\\x1b').replace('\u009b', '\\x9b'));
    expect(text).toContain('PowerPC"><script>@0');
    expect(text).toContain(`<script>"'&\\x07\\x9b</b>`);
    expect(text).toContain(`we"ird'<script>alert(3)<&.kdump`);
  });

  test('that is long is cut', () => {
    const { path } = imageOf('long.kdump', (parts) => {
      parts.places.set('fdt', { address: parts.crashKernel.start + 0x400000n, memsz: 0x100000n });
      const bootargs = parts.chosen.find((each) => each.prop === 'bootargs');
      if (bootargs === undefined) expect.fail('no bootargs');
      parts.chosen.splice(parts.chosen.indexOf(bootargs), 1, {
        prop: 'bootargs',
        value: Buffer.concat([Buffer.from(bootargs.value).subarray(0, -1), Buffer.alloc(500_000, ' <'), Buffer.of(0)]),
      });
    });
    const long = reportOn(path);
    expect(long.length).toBeLessThan(200_000);
    expect(long).toMatch(/… \(500\d\d\d characters\)/);
  });

  test('could not run or load anything if it got through', () => {
    const [, policy = ''] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page) ?? [];
    const hashOf = (element: string): string => {
      const [, contents = ''] = new RegExp(`<${element}>([^]*?)</${element}>`).exec(page) ?? [];
      return `&#39;sha256-${createHash('sha256').update(contents).digest('base64')}&#39;`;
    };
    expect(policy.split('; ')).toEqual([
      'default-src &#39;none&#39;',
      `style-src ${hashOf('style')}`,
      `script-src ${hashOf('script')}`,
      'img-src data:',
      'base-uri &#39;none&#39;',
      'form-action &#39;none&#39;',
    ]);
    expect(page).not.toMatch(/\s(?:on[a-z]+|style)="/);
    expect(page.match(/https?:/g)).toBeNull();
  });
});

test.each(['ppc64le-64k', 'ppc64le-64k-no-hotplug', 'ppc64le-4k', 'tiny-ppc64'] as const)(
  '%s: well-formed, and the same bytes twice',
  (name) => {
    const page = reportOn(fixtureImage(name));
    expect(mistakesIn(page)).toEqual([]);
    expect(reportOn(fixtureImage(name))).toBe(page);
  },
);

test.each(['x86_64', 'aarch64', 'riscv64', 'loongarch64', 's390x', 'ppc64'] as const)('an image of %s', (architecture) => {
  const page = reportOn(pack(folder, `${architecture}.kdump`, build(partsOf(architecture))));
  expect(mistakesIn(page)).toEqual([]);
  expect(textOf(page)).toContain(`Architecture ${architecture}, `);
});

test('a range at the end of the address space is exact', () => {
  const { path } = imageOf('top.kdump', ({ programHeaders, facts }) => {
    programHeaders.push(load((1n << 64n) - 0x10000n, 0xf000n, facts.linear));
  });
  expect(reportOn(path)).toContain('0xffffffffffff0000-0xffffffffffffefff');
});

describe('thousands of ranges and CPUs', () => {
  const { path, parts } = bigImage(folder);
  const ram = Array.from({ length: MANY_RANGES }, (_, index): [bigint, bigint] => [
    manyAt(index),
    manyAt(index) + (index % 100 === 0 ? 0x380000n : 0x300000n),
  ]);
  const state = { iomem: iomemOf([...RAM, ...ram], parts.crashKernel) };
  const began = processorTime();
  const page = reportOn(path, { state });
  const took = processorTime() - began;

  test('are told with a count, and all of them in folded tables', () => {
    const text = textOf(page);
    expect(text).toContain('Memory in the dump: 8,194 rows');
    expect(text).toContain(`2,048 cores with 16,384 threads`);
    expect(text).toContain('CPUs 0 to 16376 2,048 cores, 8 threads each');
    expect(text).toContain('CPU nodes: 2,048 rows');
    expect(page.match(/<tr id="memory-\d+"/g)).toHaveLength(MANY_RANGES + 2);
    expect(text).toContain('16376-16383');
    expect(MANY_CPUS * 8 - 1).toBe(16383);
  });

  test('make a page of modest size in a moment', () => {
    expect(page.length).toBeLessThan(4_000_000);
    expect(page.match(/<rect/g)?.length).toBeLessThan(3000);
    expect(took).toBeLessThan(30_000);
  });

  test('leave it well-formed', () => {
    expect(mistakesIn(page)).toEqual([]);
  });
});
