/* A program for any board: opens the model, answers what comes over the line, and says what it took. */
#ifndef ANSWER_H
#define ANSWER_H

#include "embedded/common/board.h"
#include "platform/baremetal/baremetal.h"

void say(const char* text);
void say_number(uint64_t number);

/* Opens the model, and answers line after line until an empty one. Prints the plan, the text, the hash of the logits, and the stack
 * that was used. `tokens`: that an answer has at most. 0, or 1 after a sentence about what went wrong. */
int32_t answer(const linnet_platform* platform, const linnet_options* options, void* arena, uint32_t tokens);

/* The same with a model that lies in memory, within `limit` bytes, and the linker script's arena. */
int32_t answer_from_memory(const void* model, uint64_t limit, linnet_options* options, uint32_t tokens);

/* The same with a model on a device; options->memory is the arena's size. */
int32_t answer_from_device(const linnet_block_device* device, uint64_t first_block, void* arena, const linnet_options* options,
                           uint32_t tokens);

#endif
