# Rewrites an early tokenizer export of llama2.c in the form that today's programs read. From standard input to standard output.
#
# The format: int32 longest piece; then by id a float32 score, an int32 length and the piece's bytes. Early exports hold, for
# the 256 byte pieces (ids 3 to 258), the character itself in the place of the name: what is "<0x0A>" today was a line end.
use strict;
use warnings;

binmode STDIN;
binmode STDOUT;
my $input = do { local $/; <STDIN> };
my $output = substr $input, 0, 4;
my $position = 4;
for (my $id = 0; $position + 8 <= length $input; $id++) {
    my ($score, $length) = unpack 'a4 V', substr($input, $position, 8);
    my $piece = substr $input, $position + 8, $length;
    $position += 8 + $length;
    $piece = sprintf '<0x%02X>', $id - 3 if $id >= 3 && $id < 259;
    $output .= pack('a4 V', $score, length $piece) . $piece;
}
print $output;
