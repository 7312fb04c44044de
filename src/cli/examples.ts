/** What an example does, and its command line. */
export type Example = readonly [does: string, line: string];

/** Examples of a command, for its help and the man page; of the program for ''. A test runs each of them. */
export function examplesOf(command: string): readonly Example[] {
  // Made only when somebody asks.
  const examples: Record<string, readonly Example[]> = {
    '': [
      ['what is in an image', 'kdump-hotplug inspect image.kdump'],
      [
        "is it sound and up to date, by a machine's memory and CPUs",
        'kdump-hotplug check image.kdump --iomem iomem.txt --device-tree device-tree',
      ],
      ['bring it up to date', 'kdump-hotplug sync image.kdump --iomem iomem.txt --device-tree device-tree'],
      ['options and examples of a command', 'kdump-hotplug help apply'],
    ],
    inspect: [
      ['what is in an image', 'kdump-hotplug inspect image.kdump'],
      ['the image in the memory of a guest; would purgatory start it?', 'kdump-hotplug inspect guest.ram --verify'],
      ['its device tree as source', 'kdump-hotplug inspect image.kdump --fdt'],
    ],
    check: [
      ['is it sound?', 'kdump-hotplug check image.kdump'],
      ['does it match a machine?', 'kdump-hotplug check image.kdump --iomem iomem.txt --device-tree device-tree'],
      ['on x86_64, where there is no device tree', 'kdump-hotplug check x86.kdump --iomem x86-iomem.txt --cpus x86-cpus'],
      [
        'in a script, the exit code alone',
        'if kdump-hotplug check -q image.kdump --iomem iomem.txt --device-tree device-tree --strict >/dev/null; then echo current; else echo "exit code $?"; fi',
      ],
    ],
    plan: [
      ['what would more memory and a CPU come to?', 'kdump-hotplug plan image.kdump --add-memory 0x80000000+256M --add-cpu 2'],
      ['the changes of a file', 'kdump-hotplug plan image.kdump --changes changes.json'],
    ],
    apply: [
      ['in place, so that undo can take it back', 'kdump-hotplug apply image.kdump --add-memory 0x80000000+256M --save-undo image.undo'],
      [
        "to a copy, with the new CPU's node from the live tree",
        'kdump-hotplug apply image.kdump --add-cpu 2 --device-tree device-tree -o new.kdump',
      ],
    ],
    sync: [
      ['what would have to change?', 'kdump-hotplug sync -n image.kdump --iomem iomem.txt --device-tree device-tree'],
      ['change it', 'kdump-hotplug sync image.kdump --iomem iomem.txt --device-tree device-tree'],
      ['on x86_64, where there is no device tree', 'kdump-hotplug sync x86.kdump --iomem x86-iomem.txt --cpus x86-cpus'],
    ],
    watch: [
      [
        'changes as they come, one JSON document a line',
        `echo '{ "action": "add", "cpu": { "id": 2 } }' | kdump-hotplug watch image.kdump`,
      ],
    ],
    report: [
      ['one HTML page about an image', 'kdump-hotplug report image.kdump -o report.html'],
      ['and what of a machine it misses', 'kdump-hotplug report image.kdump -o report.html --iomem iomem.txt --device-tree device-tree'],
    ],
    undo: [['undo what apply --save-undo image.undo did', 'kdump-hotplug undo image.kdump image.undo']],
    recover: [['after a crash or a full disk', 'kdump-hotplug recover image.kdump']],
    diff: [['what did a patch, or the kernel, change?', 'kdump-hotplug diff before.kdump after.kdump']],
    capture: [
      ['out of the memory of a paused guest', 'kdump-hotplug capture guest.ram -o captured.kdump'],
      ['with the segment table that kexec -d printed', 'kdump-hotplug capture guest.ram --kexec-log kexec.log -o captured.kdump'],
    ],
    pack: [
      ['what extract --manifest took out', 'kdump-hotplug pack --manifest parts/manifest.json -o packed.kdump'],
      [
        'segment files with their addresses',
        'kdump-hotplug pack --architecture ppc64le --segment elfcorehdr=parts/elfcorehdr.bin@0x229a0000 --segment fdt=parts/fdt.dtb@0x3fff0000 -o small.kdump',
      ],
    ],
    extract: [
      ['every segment, so that pack can put them together again', 'kdump-hotplug extract image.kdump -d segments --manifest'],
      ['the device tree alone', 'kdump-hotplug extract image.kdump fdt'],
    ],
    completion: [
      ['bash', 'kdump-hotplug completion bash > ~/.local/share/bash-completion/completions/kdump-hotplug'],
      ['zsh, into a directory of $fpath', 'kdump-hotplug completion zsh > ~/.zsh/completions/_kdump-hotplug'],
      ['fish', 'kdump-hotplug completion fish > ~/.config/fish/completions/kdump-hotplug.fish'],
    ],
  };
  return examples[command] ?? [];
}
