import { Parser } from 'binary-parser/dist/binary_parser.js';
import { dataView } from '../bytes/byte-order.js';
import { hex, type KdumpError } from '../errors.js';
import {
  FDT_HEADER_SIZE,
  FDT_MAGIC,
  FDT_MAX_SIZE,
  FDT_VERSION,
  RESERVATION_SIZE,
  RESERVATION_ALIGNMENT,
  STRUCT_ALIGNMENT,
} from './constants.js';
import { fdtError } from './fdt-error.js';

export { FDT_HEADER_SIZE };

/** The fields of the header but for the magic. Offsets count from the first byte of the blob, sizes are in bytes. */
export interface FdtHeader {
  readonly totalSize: number;
  readonly offStruct: number;
  readonly offStrings: number;
  readonly offReserveMap: number;
  readonly version: number;
  readonly lastCompatibleVersion: number;
  readonly bootCpuId: number;
  readonly sizeStrings: number;
  readonly sizeStruct: number;
}

/** Where each field lies in the header. */
export const HEADER_OFFSETS: Readonly<Record<keyof FdtHeader | 'magic', number>> = {
  magic: 0,
  totalSize: 4,
  offStruct: 8,
  offStrings: 12,
  offReserveMap: 16,
  version: 20,
  lastCompatibleVersion: 24,
  bootCpuId: 28,
  sizeStrings: 32,
  sizeStruct: 36,
};

const MAGIC_LITTLE_ENDIAN = 0xedfe0dd0;
/** No tree is smaller: header, terminator of the reservation block, the root's two tokens and name, FDT_END. */
const SMALLEST_TREE = FDT_HEADER_SIZE + RESERVATION_SIZE + 16;

const headerParser = new Parser()
  .endianness('big')
  .uint32('magic')
  .uint32('totalSize')
  .uint32('offStruct')
  .uint32('offStrings')
  .uint32('offReserveMap')
  .uint32('version')
  .uint32('lastCompatibleVersion')
  .uint32('bootCpuId')
  .uint32('sizeStrings')
  .uint32('sizeStruct');

/**
 * The header at the start of `bytes`, checked as far as the header alone allows: magic, version, alignment, and every block inside `totalSize`.
 *
 * Source: Devicetree specification v0.4 section 5.2; libfdt `fdt_check_header`.
 *
 * @param bytes the blob, or the segment that begins with it
 * @param oldest the oldest version that is read. In version 16, which does not state it, `sizeStruct` is all that follows
 * @throws KdumpError `input`, segment `fdt`
 */
export function parseFdtHeader(bytes: Uint8Array, oldest: number = FDT_VERSION): FdtHeader {
  if (bytes.length < FDT_HEADER_SIZE) {
    throw fdtError('device tree header is cut short', 0, { found: `${bytes.length} bytes`, expected: `at least ${FDT_HEADER_SIZE} bytes` });
  }
  const magic = dataView(bytes).getUint32(0);
  if (magic !== FDT_MAGIC) throw magicError(magic);
  const header = decode(bytes);
  const problem = headerProblem(header, oldest);
  if (problem !== undefined) throw problem;
  if (header.totalSize > bytes.length) {
    throw fdtError('device tree is cut short', HEADER_OFFSETS.totalSize, {
      found: `${bytes.length} bytes`,
      expected: `the ${header.totalSize} bytes that its header gives`,
    });
  }
  return header;
}

/**
 * The header at the start of `bytes` if it looks like that of a device tree, for the search of memory by magic. Cheap where the magic is
 * missing, never throws. `bytes` may be a window that ends before the tree does.
 */
export function probeFdtHeader(bytes: Uint8Array): FdtHeader | undefined {
  if (bytes.length < FDT_HEADER_SIZE || dataView(bytes).getUint32(0) !== FDT_MAGIC) return undefined;
  const header = decode(bytes);
  return headerProblem(header, FDT_VERSION) === undefined ? header : undefined;
}

function decode(bytes: Uint8Array): FdtHeader {
  const { totalSize, offStruct, offStrings, offReserveMap, version, lastCompatibleVersion, bootCpuId, sizeStrings, sizeStruct } =
    headerParser.parse(bytes.subarray(0, FDT_HEADER_SIZE)) as FdtHeader;
  const rest = Math.max(0, totalSize - offStruct);
  return {
    totalSize,
    offStruct,
    offStrings,
    offReserveMap,
    version,
    lastCompatibleVersion,
    bootCpuId,
    sizeStrings,
    sizeStruct: version < FDT_VERSION ? rest : sizeStruct,
  };
}

function magicError(magic: number): KdumpError {
  const facts = { found: magic, expected: FDT_MAGIC };
  return magic === MAGIC_LITTLE_ENDIAN
    ? fdtError('device tree magic has its bytes swapped', 0, { ...facts, remedy: 'a device tree is big endian on every architecture' })
    : fdtError('not a device tree', 0, facts);
}

function headerProblem(header: FdtHeader, oldest: number): KdumpError | undefined {
  const { totalSize, version, lastCompatibleVersion, offReserveMap, offStruct } = header;
  if (version < oldest) {
    return fdtError('device tree version is not supported', HEADER_OFFSETS.version, {
      found: `${version}`,
      expected: oldest === FDT_VERSION ? `${FDT_VERSION}` : `${oldest} or ${FDT_VERSION}`,
      remedy: 'dtc -I dtb -O dtb writes version 17',
    });
  }
  if (lastCompatibleVersion > FDT_VERSION || lastCompatibleVersion > version) {
    return fdtError('device tree needs a newer reader', HEADER_OFFSETS.lastCompatibleVersion, {
      found: `${lastCompatibleVersion}`,
      expected: `at most ${FDT_VERSION}`,
    });
  }
  if (totalSize < SMALLEST_TREE || totalSize > FDT_MAX_SIZE) {
    return fdtError('device tree size is out of range', HEADER_OFFSETS.totalSize, {
      found: totalSize,
      expected: `${hex(SMALLEST_TREE)} to ${hex(FDT_MAX_SIZE)}`,
    });
  }
  return (
    alignmentProblem('offReserveMap', offReserveMap, RESERVATION_ALIGNMENT) ??
    alignmentProblem('offStruct', offStruct, STRUCT_ALIGNMENT) ??
    placeProblem('memory reservation block', 'offReserveMap', header, RESERVATION_SIZE) ??
    placeProblem('structure block', 'offStruct', header, header.sizeStruct) ??
    placeProblem('strings block', 'offStrings', header, header.sizeStrings)
  );
}

function alignmentProblem(field: 'offReserveMap' | 'offStruct', offset: number, alignment: number): KdumpError | undefined {
  if (offset % alignment === 0) return undefined;
  return fdtError('block is not aligned', HEADER_OFFSETS[field], { found: offset, expected: `a multiple of ${alignment}` });
}

/** Both values are below 2^32, so their sum is exact. */
function placeProblem(
  block: string,
  field: 'offReserveMap' | 'offStruct' | 'offStrings',
  header: FdtHeader,
  size: number,
): KdumpError | undefined {
  const start = header[field];
  if (start >= FDT_HEADER_SIZE && start + size <= header.totalSize) return undefined;
  return fdtError(`${block} lies outside the device tree`, HEADER_OFFSETS[field], {
    found: `${hex(start)} to ${hex(start + size)}`,
    expected: `inside ${hex(FDT_HEADER_SIZE)} to ${hex(header.totalSize)}`,
  });
}
