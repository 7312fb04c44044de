/** Milliseconds of processor time that this process used: on a busy machine a test takes longer, and uses little more. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
