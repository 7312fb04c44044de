/**
 * Everything that `import { … } from 'kdump-hotplug'` gives, generated from the docstrings in the source. Complete programs are in the folder
 * `examples/library` of the source, one for each capability.
 *
 * kdump-hotplug as a library: the same capabilities as the program, without printing and without exiting. What cannot be done is thrown as a
 * KdumpError. Addresses and sizes in physical memory are bigint; ranges are half-open.
 *
 * @packageDocumentation
 */

// Each line comment below begins a section of docs/api.md, which is generated from here.

// Open an image
export { closeImage, openImage, type OpenImageOptions } from './image/open.js';
export type { KdumpImage } from './image/image.js';
export type { Mapping } from './text/numbers.js';
export type { ImageFormat } from './container/recognise.js';
export type { Segment, SegmentName } from './kexec/segment.js';
export { FileMemory, type Extent } from './memory-source/file-memory.js';
export { PhysicalMemory, type PatchableMemory } from './memory-source/physical-memory.js';
export type { KdumpFdtFacts } from './image/chosen.js';
export type { RegionTable } from './kexec/region-table.js';
export { parseKexecLog, type KexecLog, type KexecLogSegment } from './kexec/kexec-log.js';

// Look into an image
export { soundFindings } from './check/sound.js';
export type { Finding, Severity } from './check/finding.js';
export { crashMemoryOf, type CrashMemory, type CrashMemoryKind, type CrashMemoryRange } from './description/crash-memory.js';
export type { DescribedImage } from './description/crash-table.js';
export { capacityOf, knownCpus, type Capacity } from './description/capacity.js';
export type { Cpu } from './arch/cpu-cloning.js';
export { coveredSegments, verifyDigest, type DigestStatus } from './check/verify-digest.js';
export { diffImages, isSame, type CpuDifference, type ImageDifference } from './check/diff.js';

// Compare with a machine
export { readMachineState, type MachineStatePaths } from './machine/read-machine-state.js';
export type { MachineState } from './machine/machine-state.js';
export type { Compared, CpuNote, StateDifference } from './check/compare-state.js';
export type { CrashNotes, MachineCpus } from './machine/machine-cpus.js';
export type { LiveDeviceTree } from './machine/device-tree.js';
export { checkImage, type CheckResult } from './check/check.js';
export { changesToState } from './plan/sync.js';

// Changes
export { changeToJson, formatChange, parseChanges } from './machine/changes.js';
export type { Change, ChangeAction, ChangeJson, CpuChange, CpuOfChange, MemoryChange } from './machine/changes.js';

// Plan and patch
export { isNothingToDo, planHotplug, type Plan, type PlanOptions } from './plan/plan.js';
export type { CpuPlanOptions, DerivedProperty } from './plan/plan-cpus.js';
export type { ChangeEffect } from './plan/plan-memory.js';
export type { DigestOutcome } from './plan/plan-digest.js';
export { changedRuns, type ChangedRun, type SegmentPlan } from './plan/segment-plan.js';
export { openForPatching } from './patch/open-for-patching.js';
export { closeTarget, openTarget, type ImageTarget, type PatchTarget } from './patch/target.js';
export { applyPlan, type ApplyOptions, type ApplyResult } from './patch/apply.js';
export type { Patch } from './patch/commit.js';
export type { JournalRecord } from './journal/journal.js';
export { saveUndo, undoOf, undoPatch, type SavedUndo } from './patch/undo.js';
export { recover, type RecoverOptions, type Recovery } from './patch/recover.js';

// Make and take apart packed images
export { packImage, segmentSources, sourceOfBytes, type SegmentSource } from './image/pack/pack.js';
export { parseManifest, type Manifest, type ManifestContents, type ManifestDigest, type ManifestSegment } from './image/pack/manifest.js';
export { manifestSources } from './image/pack/manifest-sources.js';
export { architectureNamed, architectures } from './arch/registry.js';
export type { Architecture, MemoryNodes, ArchitectureName } from './arch/architecture.js';

// The elfcorehdr by itself
export { encodeElfcorehdr, parseElfcorehdr, type Elfcorehdr } from './elf/elfcorehdr.js';
export type { ElfHeader } from './elf/elf-header.js';
export type { ElfHeaderFields, ProgramHeader } from './elf/records.js';
export { PF_RWX, PT_LOAD, PT_NOTE } from './elf/constants.js';

// The FDT by itself
export { parseFdt, type Fdt, type FdtNode, type FdtProperty, type FdtReservation } from './fdt/fdt.js';
export type { FdtHeader } from './fdt/header.js';
export { editFdt, newNodeFrom, nodeSize, type FdtEditOptions, type FdtEditResult, type NewNode } from './fdt/edit/edit.js';
export type {
  AddNode,
  AddReservation,
  FdtEdit,
  RemoveNode,
  RemoveProperty,
  ReplaceProperties,
  SetProperty,
  SetReservation,
} from './fdt/edit/edit.js';
export type { TreeNode } from './fdt/tree-node.js';
export { encodeCells, encodeString, readCells, stringList } from './fdt/cells.js';
export { formatDts } from './fdt/dts.js';

// Read a machine's files one by one
export { directoryReader, readDeviceTree, readIomem } from './machine/read-machine-state.js';
export { machineCrashKernel, type MachineCrashKernel } from './machine/crash-kernel.js';
export { crashKernelRanges, parseIomem, systemRam, type IomemEntry } from './machine/iomem.js';
export { readDeviceTreeDirectory, type DeviceTreeNode, type DirectoryReader } from './machine/device-tree.js';
export { deviceTreeOfFdt } from './machine/device-tree-blob.js';
export { readMemoryNodes, readOfflineMemory } from './machine/memory-blocks.js';
export type { NodeRange } from './memory/node-ranges.js';

// Ranges, files, errors
export { formatRange, rangeInclusive, rangeOfSize, sizeOf, type Range } from './memory/range.js';
export type { ByteOrder } from './bytes/byte-order.js';
export { nodeFileSystem } from './file/node-file-system.js';
export type { Readers } from './file/new-file.js';
export type { DirectoryEntry, FileStatus, FileSystem, OpenMode } from './file/file-system.js';
export { InputFile, type Overlay } from './file/input-file.js';
export { KdumpError, type KdumpErrorDetails } from './errors.js';
export { ERROR_CODES, FINDING_CODES, type ErrorCode, type FindingCode, type KdumpErrorKind } from './codes.js';
