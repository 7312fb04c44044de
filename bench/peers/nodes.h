/* The CPU nodes to be put in, as the kernel has them: nodes with lists of properties. The file holds 32-bit counts and lengths, least significant
 * byte first: nodes; for each its name and the number of its properties; for each of them its name and value. Texts end in NUL. */
#include "rounds.h"

struct property {
  const char *name;
  uint32_t length;
  const unsigned char *value;
};

struct node {
  const char *name;
  uint32_t count;
  struct property *properties;
};

struct nodes {
  uint32_t count;
  struct node *list;
};

static inline uint32_t take_number(const unsigned char **at) {
  uint32_t value = (uint32_t)(*at)[0] | (uint32_t)(*at)[1] << 8 | (uint32_t)(*at)[2] << 16 | (uint32_t)(*at)[3] << 24;
  *at += 4;
  return value;
}

static inline const unsigned char *take_bytes(const unsigned char **at, uint32_t *length) {
  *length = take_number(at);
  const unsigned char *bytes = *at;
  *at += *length;
  return bytes;
}

static inline struct nodes read_nodes(const char *path) {
  size_t size;
  uint32_t length;
  const unsigned char *at = read_file(path, &size, 0);
  struct nodes nodes = {take_number(&at), NULL};
  nodes.list = calloc(nodes.count, sizeof *nodes.list);
  for (uint32_t i = 0; i < nodes.count; i += 1) {
    struct node *node = &nodes.list[i];
    node->name = (const char *)take_bytes(&at, &length);
    node->count = take_number(&at);
    node->properties = calloc(node->count, sizeof *node->properties);
    for (uint32_t k = 0; k < node->count; k += 1) {
      node->properties[k].name = (const char *)take_bytes(&at, &length);
      node->properties[k].value = take_bytes(&at, &node->properties[k].length);
    }
  }
  return nodes;
}
