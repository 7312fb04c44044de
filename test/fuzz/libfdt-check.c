/*
 * Verdicts of libfdt's fdt_check_full() on many blobs. Standard input: for each blob its length, 32 bits least significant byte first, and its
 * bytes. Standard output: for each a signed 32-bit verdict; 1000 where libfdt crashed or took more than ten seconds, as some versions do.
 */
#include <libfdt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASHED 1000

static uint32_t le32(const unsigned char *p) {
  return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

int main(void) {
  size_t size = 0, room = 1 << 20;
  unsigned char *input = malloc(room);
  for (size_t got; input && (got = fread(input + size, 1, room - size, stdin)) > 0;) {
    size += got;
    if (size == room) input = realloc(input, room *= 2);
  }
  if (!input) return 1;

  size_t count = 0;
  for (size_t at = 0; at + 4 <= size; at += 4 + le32(input + at)) count += 1;
  int32_t *verdicts = mmap(NULL, (count + 1) * sizeof *verdicts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (verdicts == MAP_FAILED) return 1;
  for (size_t i = 0; i <= count; i += 1) verdicts[i] = CRASHED;

  /* A child goes through the blobs until it crashes; the next one goes on behind that. */
  for (size_t from = 0; from < count;) {
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      size_t i = 0;
      for (size_t at = 0; at + 4 <= size; at += 4 + le32(input + at), i += 1) {
        if (i < from) continue;
        uint32_t length = le32(input + at);
        void *blob = malloc(length ? length : 1);
        if (!blob) _exit(1);
        memcpy(blob, input + at + 4, length);
        alarm(10);
        verdicts[i] = fdt_check_full(blob, length);
        free(blob);
      }
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    while (from < count && verdicts[from] != CRASHED) from += 1;
    from += 1;
  }
  return fwrite(verdicts, sizeof *verdicts, count, stdout) == count ? 0 : 1;
}
