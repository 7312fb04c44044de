// The figures of a run as tables for docs/performance.md, between two marks there.
import { readFileSync, writeFileSync } from 'node:fs';
import { mebibytes, time } from './table.mjs';

const MARK = '<!-- figures of npm run bench -->';

/** Puts the figures of `report` into the document at `path`, in the place of those that are there. */
export function writeFigures(path, report) {
  const parts = readFileSync(path, 'utf8').split(MARK);
  if (parts.length !== 3) throw new Error(`${path} does not have the mark for figures twice`);
  writeFileSync(path, [parts[0], `\n${figures(report)}\n`, parts[2]].join(MARK));
}

function figures({ machine, targets, sections, traffic, absent }) {
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, ${mebibytes(machine.memory)}; ${machine.kernel}; Node.js ${machine.node} with OpenSSL ${machine.openssl}; ${machine.cc}; ${machine.binutils}; libfdt of ${machine.libfdt}; ${machine.coreutils}.`,
    `Load of the machine when it began: ${machine.load[0].toFixed(1)}.`,
    '',
    ...rows(
      ['target', 'wanted', 'measured', ''],
      targets.map(({ what, wanted, measured, met }) => [what, wanted, measured, met ? '' : 'missed']),
    ),
  ];
  for (const { title, results, base } of sections) {
    lines.push(
      '',
      `### ${title}`,
      '',
      ...rows(['', 'median', 'quartiles', ...(base === undefined ? [] : [`to ${base}`]), 'first', 'RSS'], sectionRows(results, base)),
    );
  }
  if (traffic !== undefined) {
    lines.push('', '### Bytes of one memory change', '', ...rows(['', 'read', 'written', 'writes', 'syncs'], trafficRows(traffic)));
  }
  if (absent.length > 0) lines.push('', `Left out, since absent: ${absent.join(', ')}.`);
  return `${lines.join('\n')}\n`;
}

function sectionRows(results, base) {
  return Object.entries(results).map(([name, { median, low, high, first, rss }]) => {
    const ratio = base === undefined ? [] : [results[base] === undefined ? '' : (median / results[base].median).toPrecision(3)];
    return [name, time(median), `${time(low)} to ${time(high)}`, ...ratio, time(first), mebibytes(rss)];
  });
}

function trafficRows(traffic) {
  return Object.entries(traffic).map(([name, { read, written, writes, syncs }]) => [name, read, written, writes, syncs].map(String));
}

function rows(head, body) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)];
}
