/** kdump-hotplug as a library: the same capabilities as the program, without printing and without exiting. */
export { KdumpError, type KdumpErrorDetails, type KdumpErrorKind } from './errors.js';
export type { ByteOrder } from './bytes/byte-order.js';
export type { Range } from './memory/range.js';
export { rangeInclusive, rangeOfSize } from './memory/range.js';

export { encodeElfcorehdr, parseElfcorehdr, type Elfcorehdr } from './elf/elfcorehdr.js';
export type { ElfHeader } from './elf/elf-header.js';
export type { ProgramHeader } from './elf/records.js';

export { FdtNode, parseFdt, type Fdt, type FdtProperty, type FdtReservation } from './fdt/fdt.js';
export { editFdt, newNodeFrom, nodeSize, type FdtEdit, type FdtEditOptions, type FdtEditResult, type NewNode } from './fdt/edit.js';
export { formatDts } from './fdt/dts.js';

export type { DirectoryEntry, FileStatus, FileSystem, OpenMode } from './file/file-system.js';
export { nodeFileSystem } from './file/node-file-system.js';

export type { Architecture, ArchitectureName } from './arch/architecture.js';
export { architectureNamed, architectures } from './arch/registry.js';

export type { KdumpImage } from './image/image.js';
export { closeImage, openImage, type OpenImageOptions } from './image/open.js';
export type { ImageFormat } from './image/recognise.js';
export type { Segment, SegmentName } from './image/segment.js';
export { packImage, segmentSources, sourceOfBytes, type SegmentSource } from './image/pack.js';
export { parseManifest, type Manifest } from './image/manifest.js';
export { manifestSources } from './image/manifest-sources.js';
export { parseKexecLog, type KexecLog } from './image/kexec-log.js';

export { changeToJson, formatChange, parseChanges, type Change } from './machine/changes.js';
export { readDeviceTreeDirectory, type DeviceTreeNode, type DirectoryReader } from './machine/device-tree.js';
export { deviceTreeOfFdt } from './machine/device-tree-blob.js';
export { crashKernelRanges, parseIomem, systemRam, type IomemEntry } from './machine/iomem.js';
export { readOfflineMemory } from './machine/memory-blocks.js';

export { checkImage, type CheckResult } from './hotplug/check.js';
export { crashMemoryOf, type CrashMemory, type CrashMemoryRange } from './hotplug/crash-memory.js';
export { diffImages, isSame, type ImageDifference } from './hotplug/diff.js';
export type { Finding, Severity } from './hotplug/finding.js';
export type { LiveDeviceTree } from './hotplug/live-cpus.js';
export type { MachineState, StateDifference } from './hotplug/machine-state.js';
export { isNothingToDo, planHotplug, type Plan, type PlanOptions } from './hotplug/plan.js';
export { changedRuns, type SegmentPlan } from './hotplug/segment-plan.js';
export { soundFindings } from './hotplug/sound.js';
export { capacityOf, knownCpus, type Capacity } from './hotplug/summary.js';
export { changesToState } from './hotplug/sync.js';
export { coveredSegments, verifyDigest, type DigestStatus } from './hotplug/verify-digest.js';

export { applyPlan, type ApplyOptions, type ApplyResult } from './patch/apply.js';
export { openForPatching } from './patch/open-for-patching.js';
export { recover, type RecoverOptions, type Recovery } from './patch/recover.js';
export { closeTarget, openTarget, type PatchTarget } from './patch/target.js';
export { undoPatch } from './patch/undo.js';
