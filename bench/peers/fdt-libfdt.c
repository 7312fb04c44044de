/*
 * What the kernel does to the FDT of a kdump image when a CPU is added (update_cpus_node in arch/powerpc/kexec/core_64.c), with libfdt: the nodes of
 * /cpus with device_type "cpu" are deleted one by one, and all nodes of the live tree are added, property by property.
 *
 *   fdt-libfdt tree.dtb nodes result.dtb
 */
#include "nodes.h"
#include <libfdt.h>

static void update(void *fdt, const struct nodes *nodes) {
  int cpus = fdt_path_offset(fdt, "/cpus");
  if (cpus < 0) die("/cpus");
  int previous = cpus, node = fdt_first_subnode(fdt, cpus);
  while (node >= 0) {
    const char *type = fdt_getprop(fdt, node, "device_type", NULL);
    if (type && strcmp(type, "cpu") == 0) {
      fdt_del_node(fdt, node);
      node = previous == cpus ? fdt_first_subnode(fdt, cpus) : fdt_next_subnode(fdt, previous);
    } else {
      previous = node;
      node = fdt_next_subnode(fdt, node);
    }
  }
  for (uint32_t i = 0; i < nodes->count; i += 1) {
    int added = fdt_add_subnode(fdt, cpus, nodes->list[i].name);
    if (added < 0) die("fdt_add_subnode");
    for (uint32_t k = 0; k < nodes->list[i].count; k += 1) {
      const struct property *property = &nodes->list[i].properties[k];
      if (fdt_setprop(fdt, added, property->name, property->value, (int)property->length) != 0) die("fdt_setprop");
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  size_t size;
  unsigned char *tree = read_file(argv[1], &size, 0);
  struct nodes nodes = read_nodes(argv[2]);
  size_t room = size + (64u << 10);
  unsigned char *work = malloc(room);
  if (!work) return 1;
  while (next_round()) {
    if (fdt_open_into(tree, work, (int)room) != 0) die("fdt_open_into");
    uint64_t start = now_ns();
    update(work, &nodes);
    answer(now_ns() - start);
  }
  write_file(argv[3], work, fdt_totalsize(work));
  return 0;
}
