#!/bin/bash
# Compiles what the benchmarks need into .cache/bench (only what is older than its source).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../bin/node.sh"
packages clang llvm libbpf-dev libc6-dev linux-libc-dev bpftool ethtool iproute2 procps util-linux

out=$cache/bench
mkdir -p "$out"

# newer SOURCE TARGET: the target is missing or older than its source.
newer() { [ ! -e "$2" ] || [ "$1" -nt "$2" ]; }

for program in generator bulk pingpong; do
  source=$root/bench/$program.c
  if newer "$source" "$out/$program" || newer "$root/bench/slices.h" "$out/$program"; then clang -O2 -Wall -Werror -o "$out/$program" "$source"; fi
done
sink=$root/bench/sink.bpf.c
if newer "$sink" "$out/sink.bpf.o"; then
  clang -O2 -g -Wall -Werror -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$out/sink.bpf.o" "$sink"
fi
