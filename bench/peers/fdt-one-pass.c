/*
 * The same update as in fdt-libfdt.c, the way one would write it for speed in C: one pass over the structure block that checks every token and
 * copies what stays, and puts the new nodes behind the other children of /cpus. The place of each property's name comes from a hash table.
 *
 *   fdt-one-pass tree.dtb nodes result.dtb
 */
#include "nodes.h"

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9, TABLE = 1024 };

struct out {
  unsigned char *bytes;
  size_t at;
};

static struct { const char *name; uint32_t offset; } table[TABLE];

static uint32_t be32(const unsigned char *p) {
  uint32_t value;
  memcpy(&value, p, 4);
  return __builtin_bswap32(value);
}

static void put32(unsigned char *p, uint32_t value) {
  value = __builtin_bswap32(value);
  memcpy(p, &value, 4);
}

static size_t padded(size_t size) { return (size + 3) & ~(size_t)3; }

/* Where `name` stands in the strings block, which has all names that this benchmark needs. */
static uint32_t name_offset(const char *name, const char *strings, size_t size) {
  uint32_t hash = 2166136261u;
  for (const char *c = name; *c; c += 1) hash = (hash ^ (unsigned char)*c) * 16777619u;
  for (uint32_t slot = hash % TABLE;; slot = (slot + 1) % TABLE) {
    if (table[slot].name && strcmp(table[slot].name, name) == 0) return table[slot].offset;
    if (table[slot].name) continue;
    size_t length = strlen(name) + 1;
    for (size_t at = 0; at + length <= size; at += 1) {
      if (memcmp(strings + at, name, length) != 0) continue;
      table[slot].name = name;
      return table[slot].offset = (uint32_t)at;
    }
    die("name is missing");
  }
}

static void put_nodes(struct out *out, const struct nodes *nodes, const char *strings, size_t size) {
  for (uint32_t i = 0; i < nodes->count; i += 1) {
    const struct node *node = &nodes->list[i];
    size_t length = strlen(node->name) + 1;
    put32(out->bytes + out->at, BEGIN_NODE);
    memset(out->bytes + out->at + 4 + padded(length) - 4, 0, 4);
    memcpy(out->bytes + out->at + 4, node->name, length);
    out->at += 4 + padded(length);
    for (uint32_t k = 0; k < node->count; k += 1) {
      const struct property *property = &node->properties[k];
      unsigned char *p = out->bytes + out->at;
      put32(p, PROP);
      put32(p + 4, property->length);
      put32(p + 8, name_offset(property->name, strings, size));
      size_t room = padded(property->length);
      if (room > 0) memset(p + 12 + room - 4, 0, 4);
      memcpy(p + 12, property->value, property->length);
      out->at += 12 + room;
    }
    put32(out->bytes + out->at, END_NODE);
    out->at += 4;
  }
}

static void copy(struct out *out, const unsigned char *from, const unsigned char *to) {
  memcpy(out->bytes + out->at, from, (size_t)(to - from));
  out->at += (size_t)(to - from);
}

static void update(const unsigned char *tree, size_t total, const struct nodes *nodes, struct out *out) {
  if (total < 40 || be32(tree) != 0xd00dfeed || be32(tree + 4) > total) die("header");
  size_t structure = be32(tree + 8), structure_size = be32(tree + 36), strings = be32(tree + 12), strings_size = be32(tree + 32);
  if (structure + structure_size > total || strings + strings_size > total || strings < structure + structure_size) die("blocks");
  const char *names = (const char *)tree + strings;
  const unsigned char *at = tree + structure, *end = at + structure_size, *node = NULL;
  out->at = 0;
  const unsigned char *copied = tree;
  int depth = 0, in_cpus = 0, is_cpu = 0;
  for (;;) {
    if (at + 4 > end) die("structure block");
    uint32_t token = be32(at);
    if (token == PROP) {
      if (at + 12 > end) die("property");
      size_t length = be32(at + 4), name = be32(at + 8);
      if (length > (size_t)(end - at - 12) || name >= strings_size || depth == 0) die("property");
      if (in_cpus && depth == 3 && length == 4 && strcmp(names + name, "device_type") == 0 && memcmp(at + 12, "cpu", 4) == 0) is_cpu = 1;
      at += 12 + padded(length);
    } else if (token == BEGIN_NODE) {
      const unsigned char *name = at + 4, *nul = memchr(name, 0, (size_t)(end - name));
      if (!nul) die("name");
      depth += 1;
      if (depth == 2) in_cpus = strcmp((const char *)name, "cpus") == 0;
      if (depth == 3) node = at, is_cpu = 0;
      at = name + padded((size_t)(nul + 1 - name));
    } else if (token == END_NODE) {
      if (depth == 0) die("FDT_END_NODE");
      if (in_cpus && depth == 2) {
        copy(out, copied, at);
        copied = at;
        put_nodes(out, nodes, names, strings_size);
        in_cpus = 0;
      }
      at += 4;
      if (in_cpus && depth == 3 && is_cpu) {
        copy(out, copied, node);
        copied = at;
      }
      depth -= 1;
    } else if (token == END) {
      at += 4;
      break;
    } else if (token == NOP) at += 4;
    else die("token");
  }
  if (depth != 0 || at != end) die("FDT_END");
  copy(out, copied, at);
  size_t new_size = out->at - structure, new_strings = strings + new_size - structure_size;
  copy(out, at, tree + strings + strings_size);
  size_t new_total = out->at > total ? (out->at + 7) & ~(size_t)7 : total;
  /* What is free stays as it is, and what becomes free is zero. */
  size_t used = strings + strings_size > out->at ? strings + strings_size : out->at;
  memset(out->bytes + out->at, 0, new_total - out->at);
  if (used < total) memcpy(out->bytes + used, tree + used, total - used);
  put32(out->bytes + 4, (uint32_t)new_total);
  put32(out->bytes + 12, (uint32_t)new_strings);
  put32(out->bytes + 36, (uint32_t)new_size);
  out->at = new_total;
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  size_t size;
  unsigned char *tree = read_file(argv[1], &size, 0);
  struct nodes nodes = read_nodes(argv[2]);
  struct out out = {malloc(2 * size + (64u << 10)), 0};
  if (!out.bytes) return 1;
  while (next_round()) {
    memset(table, 0, sizeof table);
    uint64_t start = now_ns();
    update(tree, size, &nodes, &out);
    answer(now_ns() - start);
  }
  write_file(argv[3], out.bytes, out.at);
  return 0;
}
