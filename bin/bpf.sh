#!/bin/bash
# Compiles the data plane: bpf/*.bpf.c -> dist/bpf/*.bpf.o, only when a source is newer. Installs the compiler when it is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/node.sh"
cd "$root"

out=dist/bpf
mkdir -p "$out"
for source in bpf/*.bpf.c; do
  object=$out/$(basename "$source" .c).o
  newest=$(find bpf bin/bpf.sh -type f -newer "$object" 2>/dev/null | head -n 1 || true)
  [ -f "$object" ] && [ -z "$newest" ] && continue
  packages clang-14 llvm-14 libbpf-dev libc6-dev linux-libc-dev
  # Renamed into place, so that a program that loads the object meanwhile never reads half of one.
  clang-14 -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -I"/usr/include/$(uname -m)-linux-gnu" \
    -c "$source" -o "$object.$$"
  llvm-strip-14 -g "$object.$$"
  mv "$object.$$" "$object"
  echo "compiled: $object" >&2
done
