/* Nothing that is forbidden: the image that the others are compared with. */
#include "embedded/common/answer.h"

int main(void) {
    board_start();
    say("clean\n");
    return 0;
}
