/*
 * Looks at structures of a mapped file without a pause, as a guest that reads its memory does, until standard input says something or ends.
 * An empty line says that it begins.
 *
 * mapped-reader FILE { OFFSET OLD NEW }...    OLD and NEW are files with what the structure at OFFSET may be
 *
 * A look is two copies that are the same, with the same first byte between them: then nothing was written from the first copy to the second that
 * was not finished, or not begun, at one moment in the middle. Prints the number of looks, of those at which something was marked as being changed,
 * the changes from old to new or back that were seen, and the looks that were neither old nor new, or old and new at once.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 4, OLD = 0, NEW = 1 };

struct structure {
  volatile unsigned char *at;
  size_t length;
  unsigned char *versions[2];
  unsigned char *first, *second;
};

static unsigned char *contents(const char *path, size_t *length) {
  struct stat status;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status) != 0) exit(2);
  unsigned char *bytes = malloc(status.st_size);
  if (read(file, bytes, status.st_size) != status.st_size) exit(2);
  close(file);
  *length = status.st_size;
  return bytes;
}

static void barrier(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

int main(int argc, char **argv) {
  struct structure all[MOST];
  int count = (argc - 2) / 3;
  struct stat status;
  int file = open(argv[1], O_RDWR);
  if (count < 1 || count > MOST || file < 0 || fstat(file, &status) != 0) return 2;
  unsigned char *map = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (map == MAP_FAILED) return 2;
  for (int i = 0; i < count; i += 1) {
    all[i].at = map + strtoull(argv[2 + 3 * i], NULL, 0);
    for (int version = OLD; version <= NEW; version += 1) all[i].versions[version] = contents(argv[3 + 3 * i + version], &all[i].length);
    all[i].first = malloc(all[i].length);
    all[i].second = malloc(all[i].length);
  }
  uint64_t looks = 0, marked = 0, unstable = 0, changes = 0, torn = 0;
  int last = -1;
  puts("");
  fflush(stdout);
  struct pollfd input = { .fd = 0, .events = POLLIN };
  while (looks % 1024 != 0 || poll(&input, 1, 0) == 0) {
    unsigned char between[MOST];
    int stable = 1, marks = 0, seen = -1;
    for (int i = 0; i < count; i += 1) memcpy(all[i].first, (void *)all[i].at, all[i].length);
    barrier();
    for (int i = 0; i < count; i += 1) between[i] = *all[i].at;
    barrier();
    for (int i = 0; i < count; i += 1) memcpy(all[i].second, (void *)all[i].at, all[i].length);
    barrier();
    looks += 1;
    for (int i = 0; i < count; i += 1)
      if (between[i] != all[i].first[0] || memcmp(all[i].first, all[i].second, all[i].length) != 0) stable = 0;
    if (!stable) {
      unstable += 1;
      continue;
    }
    for (int i = 0; i < count; i += 1) {
      if (between[i] == 0) {
        marks += 1;
        continue;
      }
      int version = memcmp(all[i].first, all[i].versions[OLD], all[i].length) == 0   ? OLD
                    : memcmp(all[i].first, all[i].versions[NEW], all[i].length) == 0 ? NEW
                                                                                      : 2;
      if (version == 2 || (seen >= 0 && seen != version)) torn += 1;
      seen = version;
    }
    if (marks > 0) marked += 1;
    else if (seen != last) {
      if (last >= 0) changes += 1;
      last = seen;
    }
  }
  printf("{\"looks\":%lu,\"marked\":%lu,\"unstable\":%lu,\"changes\":%lu,\"torn\":%lu}\n", looks, marked, unstable, changes, torn);
  return 0;
}
