import { describe, expect, test } from 'vitest';
import { PlannedCpus, type PlannedCpu } from '../../src/plan/planned-cpus.js';

const cpu = (id: number, threads = [id, id + 1], name = `cpu@${id}`): PlannedCpu => ({ id, threads, name });
const [a, b, c] = [cpu(0), cpu(8), cpu(16)];

describe('PlannedCpus', () => {
  test('keeps the order in which CPUs came', () => {
    const cpus = new PlannedCpus([b, a]);
    cpus.add(c);
    expect([...cpus]).toEqual([b, a, c]);
    expect(cpus.size).toBe(3);
  });

  test('finds a CPU by its id, and not by those of its threads', () => {
    const cpus = new PlannedCpus([a, b, cpu(5, [6])]);
    expect([0, 1, 8, 9, 5, 6].map((id) => cpus.withId(id)?.name)).toEqual(['cpu@0', undefined, 'cpu@8', undefined, 'cpu@5', undefined]);
  });

  test('of two with one id, the first counts, until it goes', () => {
    const second = cpu(8, [8]);
    const cpus = new PlannedCpus([b, second]);
    expect(cpus.withId(8)).toBe(b);
    cpus.remove(b);
    expect(cpus.withId(8)).toBe(second);
  });

  test('a replaced one has the place of the old one', () => {
    const cpus = new PlannedCpus([a, b, c]);
    const changed = { ...b, properties: [] };
    cpus.replace(b, changed);
    expect([...cpus]).toEqual([a, changed, c]);
    expect(cpus.withId(8)).toBe(changed);
    cpus.remove(changed);
    expect([...cpus]).toEqual([a, c]);
  });

  test('one that is there twice goes twice', () => {
    const cpus = new PlannedCpus([a, b, b]);
    cpus.remove(b);
    expect([...cpus]).toEqual([a]);
    expect(cpus.withId(8)).toBeUndefined();
  });

  test('one that is not there changes nothing', () => {
    const cpus = new PlannedCpus([a]);
    cpus.remove(b);
    cpus.replace(c, b);
    expect([...cpus]).toEqual([a]);
  });
});
