/** Where parseFdt refuses a blob that libfdt's fdt_check_full() takes: what it says, and why, and of which version alone where not of all. Nothing else may make a difference. */
export const stricterThanLibfdt: readonly { readonly problem: RegExp; readonly reason: string; readonly version?: number }[] = [
  {
    problem:
      /^(?:memory reservation block|structure block|strings block) and (?:memory reservation block|structure block|strings block) overlap$/,
    reason: 'blocks that share bytes: an edit of one would damage the other',
  },
  {
    problem: /^device tree version is not supported$/,
    reason:
      'older than 16, whose node names are whole paths and whose values are aligned otherwise. Images take 17 alone; here 16 is read, too, as for --device-tree',
  },
  {
    problem: /^device tree needs a newer reader$/,
    reason: 'last_comp_version above version contradicts itself',
  },
  {
    problem: /^device tree size is out of range$/,
    reason: 'smaller than any tree: header, end of the reservation block, a root and FDT_END',
  },
  {
    problem: /^block is not aligned$/,
    reason: 'the specification asks for 4 and 8 bytes (5.6); readers that load whole words fail on anything else',
  },
  {
    problem: /^(?:memory reservation block|structure block|strings block) lies outside the device tree$/,
    reason: 'in the header or behind totalsize, also for a block of no bytes',
  },
  {
    problem: /^data after FDT_END in the structure block$/,
    reason: 'size_dt_struct and FDT_END contradict each other; an edit would have to choose',
  },
  {
    problem: /^FDT_NOP behind the root node$/,
    reason: 'versions of libfdt differ on it, and the specification has none there (5.4.2); in front of the root both take it',
  },
  {
    problem: /^(?:device tree has no root node|second root node|root node has a name)$/,
    reason: 'versions of libfdt differ; the kernel reads one root without a name',
  },
  {
    problem: /^property name is not a terminated string of the strings block$/,
    reason: 'in version 16 libfdt looks for names up to totalsize, behind the strings block, too',
    version: 16,
  },
  {
    problem: /^property after a child node$/,
    reason: 'the specification puts properties first (5.4.2), and the kernel attributes such a property to the wrong node',
  },
  {
    problem: /^property value passes the end of the structure block$/,
    reason: 'libfdt does not count the padding of a value behind which nothing is read',
  },
  {
    problem: /^nodes are nested too deep$/,
    reason: 'the kernel stops at 64 levels (FDT_MAX_DEPTH)',
  },
  {
    problem: /^(?:node|property) name is too long$/,
    reason: 'more than 255 bytes: many properties that share one name of a megabyte take time and memory out of proportion',
  },
];
