#!/bin/sh
# The core's library asks for nothing but what a freestanding C library has, and runs nothing before main. What it asks of the system is
# what the processor has: libgcc's __cpu_... on x86, getauxval on AArch64 Linux.
#   core_symbols.sh NM OBJDUMP LIBRARY
set -eu
nm=$1 objdump=$2 library=$3
allowed='^(memcpy|memmove|memset|memcmp|strlen|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__cpu_model|__cpu_indicator_init|__cpu_features2|getauxval)$'

# What no object of the library defines itself.
defined=$("$nm" --defined-only "$library" 2>/dev/null | awk 'NF == 3 {print $3}' | sort -u)
wanted=$("$nm" --undefined-only "$library" 2>/dev/null | awk '$1 == "U" {print $2}' | sort -u)
[ -n "$defined" ] || { echo "no symbols found in $library"; exit 1; }
foreign=$(printf '%s\n' "$wanted" | grep -vxF -e "$defined" | grep -Ev "$allowed" || true)
constructors=$("$objdump" -h "$library" 2>/dev/null | grep -E '\.(init_array|ctors)' || true)
status=0
if [ -n "$foreign" ]; then
    echo "The core asks for what a board may not have:"; printf '  %s\n' $foreign; status=1
fi
if [ -n "$constructors" ]; then
    echo "The core has static constructors:"; printf '%s\n' "$constructors"; status=1
fi
[ $status -ne 0 ] || echo "The core stands alone: $(printf '%s\n' "$defined" | wc -l) symbols, none foreign, no static constructors."
exit $status
