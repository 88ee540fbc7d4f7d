/* A model larger than the memory: 14 MB on a block device, 15 million weights, streamed through 4 MB in every pass. Here the device is
 * a file of the host; on hardware it is an SD card or a flash chip that cannot be read like memory. */
#include "embedded/common/answer.h"
#include "places.h"
#include "platform/baremetal/semihosting.h"

int main(void) {
    static linnet_semihosting_file file;
    static linnet_block_device device;
    linnet_options options = linnet_default_options();
    char name[64];

    board_start();
    if (!linnet_semihosting_command_line(name, sizeof name) || linnet_semihosting_open(name, 0, &file, &device) != 0) {
        say("The host has no such file: ");
        say(name);
        say("\n");
        return 1;
    }
    options.context = 256;
    options.batch = 16;
    options.text_run = 1024;
    options.memory = SRAM_BYTES;
    return answer_from_device(&device, 0, (void*)SRAM_BASE, &options, 8);
}
