/*
 * Runs a program and times it, from fork to its end: lines on standard input are its words, separated by tabs; a line back says nanoseconds,
 * largest resident set in KiB, and exit status. What the program prints is thrown away.
 */
#include "rounds.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  static char line[65536];
  int nowhere = open("/dev/null", O_RDWR);
  if (nowhere < 0) die("/dev/null");
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *words[1024];
    int count = 0;
    for (char *word = strtok(line, "\t"); word && count < 1023; word = strtok(NULL, "\t")) words[count++] = word;
    words[count] = NULL;
    uint64_t start = now_ns();
    pid_t child = vfork();
    if (child < 0) die("vfork");
    if (child == 0) {
      dup2(nowhere, 0);
      dup2(nowhere, 1);
      dup2(nowhere, 2);
      execvp(words[0], words);
      _exit(127);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) < 0) die("wait4");
    uint64_t end = now_ns();
    printf("%llu %ld %d\n", (unsigned long long)(end - start), usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 255);
    fflush(stdout);
  }
  return 0;
}
