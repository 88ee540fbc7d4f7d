/* A program with a heap. Must be found. */
#include <stdlib.h>

#include "embedded/common/answer.h"

/* Where newlib's malloc gets its memory. */
void* _sbrk(int bytes);
void* _sbrk(int bytes) {
    static unsigned char* end = board_arena_begin;
    unsigned char* at = end;
    end += bytes;
    return at;
}

int main(void) {
    char* line = (char*)malloc(16);
    board_start();
    line[0] = 'a';
    line[1] = 0;
    say(line);
    free(line);
    return 0;
}
