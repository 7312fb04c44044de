import { hex } from '../errors.js';
import { elfcorehdrSize } from '../elf/elfcorehdr.js';
import { textOf } from '../fdt/cells.js';
import { crashMemoryOf } from '../description/crash-memory.js';
import { capacityOf, fdtFreeSize } from '../description/capacity.js';
import { coveredSegments, type DigestStatus } from '../check/verify-digest.js';
import { segmentRange } from '../kexec/segment.js';
import { CONTAINERS } from '../container/recognise.js';
import { formatSize } from '../text/numbers.js';
import { html, shortened, type Content, type Html } from './html.js';
import { ROWS } from './map/lanes.js';
import type { ReportSubject } from './subject.js';
import { table, type Row } from './table.js';
import { address, count, counted, size } from './words.js';

const DIGESTS: Readonly<Record<DigestStatus, string>> = {
  match: 'matches: the purgatory will accept the image',
  mismatch: 'does not match',
  absent: 'none was found: nothing checks the segments before the capture kernel starts',
  unchecked: 'was not checked',
};

const LONGEST_TEXT = 4096;

/** What the image says about itself and the machine that it was loaded on. */
export function factsSection(subject: ReportSubject): Html {
  return html`<section id="facts" aria-labelledby="facts-heading">
    <h2 id="facts-heading">Facts</h2>
    <dl class="facts">
      ${facts(subject).map(
        ([term, value]) =>
          html`<div>
            <dt>${term}</dt>
            <dd>${value}</dd>
          </div> `,
      )}
    </dl>
    ${segmentTable(subject)}
    ${subject.image.provenance.length > 0 && html`<p class="note">Derived, since nothing states it: ${subject.image.provenance.join('; ')}.</p>`}
  </section>`;
}

function facts({ image, check }: ReportSubject): [string, Content][] {
  const { architecture, pageSize, entry, crashKernelRanges, elfcorehdr, fdt, purgatory } = image;
  const { cpuNotes, vmcoreinfo, kernelText } = crashMemoryOf(image);
  const { memoryRanges, cpus } = capacityOf(image);
  const covers = coveredSegments(image);
  const model = fdt?.tree.root.property('model');
  const bytes = (used: number, of: number): string => `${count(used)} of ${count(of)} bytes used`;
  return [
    ['File', html`<code>${shortened(image.memory.path, LONGEST_TEXT)}</code>, ${formatSize(image.memory.status.size)}`],
    ['Format', CONTAINERS[image.format].imageName],
    ['Architecture', `${architecture.name}, ${architecture.byteOrder === 'lsb' ? 'little' : 'big'} endian`],
    ['Page size', pageSize === null ? 'not known' : formatSize(pageSize)],
    ...optional('Model', model === undefined ? null : text(textOf(model))),
    ...optional('Kernel command line', fdt?.facts.bootargs == null ? null : text(fdt.facts.bootargs)),
    [
      crashKernelRanges.length > 1 ? 'Crashkernel ranges' : 'Crashkernel range',
      crashKernelRanges.length === 0
        ? 'not known'
        : html`${crashKernelRanges.map((range, index) => html`${index > 0 && '; '}${address(range)}, ${size(range)}`)}`,
    ],
    ...optional('Entry point', entry === null ? null : html`<code>${hex(entry)}</code>`),
    [
      'Purgatory’s digest',
      `${DIGESTS[check.digest]}${covers.length === 0 ? '' : `; covers ${covers.join(', ')}`}${purgatory === null ? '; no purgatory' : ''}`,
    ],
    [
      'Notes',
      `${counted(cpuNotes.length, 'CPU note')}, ${vmcoreinfo === null ? 'no vmcoreinfo' : `vmcoreinfo at ${hex(vmcoreinfo.paddr)}`}`,
    ],
    ...optional(
      'Kernel text',
      kernelText === null
        ? null
        : html`<code>${hex(kernelText.paddr)}</code>, mapped at <code>${hex(kernelText.vaddr)}</code>, ${formatSize(kernelText.memsz)}`,
    ),
    [
      'Room in the elfcorehdr',
      `for ${counted(memoryRanges, 'more memory range')}; ${bytes(elfcorehdrSize(elfcorehdr.contents.programHeaders.length), Number(elfcorehdr.segment.memsz))}`,
    ],
    ...optional(
      'Room in the FDT',
      fdt === null
        ? null
        : `${cpus === null ? '' : `for ${counted(cpus, 'more CPU')} like the last one; `}${bytes(fdt.tree.usedSize, fdt.tree.usedSize + fdtFreeSize(fdt))}`,
    ),
  ];
}

function text(value: string): Html {
  return html`<code>${shortened(value, LONGEST_TEXT)}</code>`;
}

function optional(term: string, value: Content): [string, Content][] {
  return value === null ? [] : [[term, value]];
}

function segmentTable({ image }: ReportSubject): Html {
  const { segments, crashKernelRanges } = image;
  const covers = new Set(coveredSegments(image));
  const rows = segments.map((segment, index): Row => {
    const { name, address: mem, memsz, bufsz } = segment;
    return {
      id: ROWS.segment(index),
      cells: [
        name,
        address(segmentRange(segment)),
        html`<code>${hex(mem)}</code>`,
        html`<code>${hex(memsz)}</code>`,
        formatSize(memsz),
        bufsz === null ? 'not known' : html`<code>${hex(bufsz)}</code>`,
        covers.has(name) ? 'yes' : 'no',
      ],
    };
  });
  const reserved = crashKernelRanges.map((range, index): Row => ({
    id: ROWS.crashKernel(index),
    cells: [
      'crashkernel range',
      address(range),
      html`<code>${hex(range.start)}</code>`,
      html`<code>${hex(range.end - range.start)}</code>`,
      size(range),
      '',
      '',
    ],
  }));
  const columns = [
    { title: 'Segment' },
    { title: 'Addresses' },
    { title: 'mem', isNumber: true },
    { title: 'memsz', isNumber: true },
    { title: 'Size', isNumber: true },
    { title: 'bufsz', isNumber: true },
    { title: 'In the digest' },
  ];
  return table('Segments', columns, [...rows, ...reserved]);
}
