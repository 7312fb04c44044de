import type { KdumpImage } from './image.js';

/**
 * Whether a ppc64 image was loaded by kexec_file_load: only of_kexec_alloc_and_setup_fdt() in drivers/of/kexec.c writes linux,elfcorehdr there;
 * kexec-tools passes elfcorehdr= alone.
 */
export function isFileLoaded({ fdt }: Pick<KdumpImage, 'fdt'>): boolean {
  return fdt?.tree.node('/chosen')?.property('linux,elfcorehdr') !== undefined;
}
