// What the benchmark prints.
const UNITS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'µs'],
];

export function time(nanoseconds) {
  const [size, unit] = UNITS.find(([limit]) => nanoseconds >= limit) ?? [1, 'ns'];
  return `${(nanoseconds / size).toPrecision(3)} ${unit}`;
}

export function mebibytes(bytes) {
  return bytes > 0 ? `${Math.round(bytes / 2 ** 20)} MiB` : '';
}

/** Rows of equal length, as lines with aligned columns. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd(),
  );
}

/** The results of a round robin; ratios to the one named `base`. */
export function resultTable(title, results, base) {
  const rows = [[title, 'median', 'quartiles', base === undefined ? '' : `to ${base}`, 'RSS']];
  for (const [name, { median, low, high, rss }] of Object.entries(results)) {
    const ratio = base === undefined || results[base] === undefined ? '' : `${(median / results[base].median).toPrecision(3)} x`;
    rows.push([`  ${name}`, time(median), `${time(low)} to ${time(high)}`, ratio, mebibytes(rss)]);
  }
  return table(rows).join('\n');
}

/** Wanted and measured, one row a target. */
export function targetTable(targets) {
  const rows = [['target', 'wanted', 'measured', '']];
  for (const { what, wanted, measured, met } of targets) rows.push([`  ${what}`, wanted, measured, met ? 'met' : 'MISSED']);
  return table(rows).join('\n');
}
