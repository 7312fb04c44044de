/*
 * Passes of memcpy over a file's bytes, each into another buffer: what moving the data alone costs. With a fourth word the file is first read
 * with one read(2), as the program has to, into memory that it has just got.
 *
 *   copy file passes [read]
 */
#include "rounds.h"
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  size_t size;
  unsigned char *bytes = read_file(argv[1], &size, 0);
  int passes = atoi(argv[2]), file = open(argv[1], O_RDONLY);
  unsigned char *buffers[16] = {bytes};
  if (passes > 15 || file < 0) return 2;
  for (int i = 1; i <= passes; i += 1) buffers[i] = calloc(1, size);
  while (next_round()) {
    uint64_t start = now_ns();
    if (argc > 3 && pread(file, bytes, size, 0) != (ssize_t)size) die("pread");
    for (int i = 0; i < passes; i += 1) {
      memcpy(buffers[i + 1], buffers[i], size);
      /* The compiler is not to leave a copy out. */
      __asm__ volatile("" : : "r"(buffers[i + 1]) : "memory");
    }
    answer(now_ns() - start);
  }
  return 0;
}
