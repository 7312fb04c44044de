import { expect } from 'vitest';
import { has } from '../helpers/run.js';
import type { Dimm, Guest } from './guest.js';
import type { Marker } from './marker.js';
import { hasSameMemory, loadsByReadelf, Vmcore } from './vmcore.js';

const PURGATORY_SECONDS = 120;
const CAPTURE_SECONDS = 300;
/** A capture kernel that starts says something in a third of the time that the guest took to boot. */
const SILENT_BOOTS = 1.5;

/** Crashes the guest on a CPU, and waits for the shell of the capture kernel. */
export async function crashIntoDump(guest: Guest, cpu: number): Promise<Vmcore> {
  guest.crash(cpu);
  await guest.console.waitFor(/<<ready capture>>\r?\n/, CAPTURE_SECONDS);
  return await Vmcore.open(guest);
}

/**
 * Crashes the guest on a CPU, and makes sure that purgatory is the last thing that is heard of it.
 *
 * @returns what purgatory says
 */
export async function crashIntoPurgatory(guest: Guest, cpu: number): Promise<string> {
  guest.crash(cpu);
  await guest.console.waitFor(/I'm in purgatory/, PURGATORY_SECONDS);
  const silence = SILENT_BOOTS * guest.bootSeconds;
  await guest.console.waitForSilence(silence, silence + PURGATORY_SECONDS);
  return guest.console.text.slice(guest.console.text.indexOf("I'm in purgatory")).replaceAll('\r', '').trim();
}

/** The dump lists the memory that was added, can be read to its end, and has what was in that memory. */
export async function expectComplete(vmcore: Vmcore, dimm: Dimm, marker: Marker): Promise<void> {
  expect(vmcore.lists(dimm)).toBe(true);
  expect(await vmcore.readableSize()).toBe(vmcore.promisedSize);
  expect(await vmcore.has(marker)).toBe(true);
  expect(await hasSameMemory(vmcore, dimm, marker)).toBe(true);
}

/** Other programs read the dump, too: readelf its program headers, makedumpfile its memory. */
export async function expectReadable(vmcore: Vmcore, guest: Guest, marker: Marker): Promise<void> {
  if (has('readelf')) expect(loadsByReadelf(vmcore, guest.folder)).toEqual(vmcore.loads);
  expect(await vmcore.filtered(marker)).toContain('The dumpfile is saved to /tmp/dump.');
}

/** The dump is sound, but without the memory that was added. */
export async function expectWithout(vmcore: Vmcore, dimm: Dimm): Promise<void> {
  expect(vmcore.touches(dimm)).toBe(false);
  expect(await vmcore.readableSize()).toBe(vmcore.promisedSize);
}
