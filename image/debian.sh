#!/bin/bash
# The Debian half of both guests, as two tars (the world's: the appliance's packages plus world/packages.list), in one
# mmdebstrap run. Packages come from the machine's own Debian sources; the tars do not remember which these were.
# Equal package versions give equal tars: sorted names, one time stamp, no caches, logs, ids or keys.
# usage: image/debian.sh APPLIANCE.TAR WORLD.TAR
set -euo pipefail
appliance=$(realpath "$1") world=$(realpath "$2")
here=$(cd "$(dirname "$0")" && pwd)
suite=bookworm

names() { sed 's/#.*//' "$1" | xargs; }

sources=()
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
  if [ -f "$f" ] && grep -qE "(Suites:|^deb ).*\b$suite\b" "$f"; then sources+=("$f"); fi
done

# Sourced by the hooks below, which mmdebstrap runs with the root directory as $1.
pack='pack() { tar -C "$1" --one-file-system --sort=name --numeric-owner --mtime=@'${SOURCE_DATE_EPOCH:?}' \
  --pax-option=delete=atime,delete=ctime --exclude="./dev/*" --exclude="./proc/*" --exclude="./sys/*" --exclude="./run/*" \
  --exclude="./tmp/*" --exclude="./var/cache/*" --exclude="./var/lib/apt/lists/*" --exclude="./var/log/*" \
  --exclude=./etc/apt/sources.list --exclude="./etc/apt/sources.list.d/*" --exclude="./etc/apt/apt.conf.d/99mmdebstrap" \
  --exclude="./var/lib/dpkg/*-old" --exclude=./etc/machine-id --exclude=./etc/resolv.conf --exclude=./etc/hostname \
  --exclude=./var/lib/dbus/machine-id --exclude=./var/lib/systemd/random-seed -cf "$2" .; }'

exclude=()
for p in '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*' \
  '/etc/kernel/postinst.d/initramfs-tools' '/usr/lib/udev/hwdb.d/*' '/lib/udev/hwdb.d/*'; do
  exclude+=(--dpkgopt="path-exclude=$p")
done

# The initramfs is our own (boot/), so the package's hook that would build one is left out above.
mmdebstrap --mode=root --variant=apt --format=null \
  --dpkgopt='force-unsafe-io' "${exclude[@]}" --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Check-Valid-Until "false"' \
  --aptopt="Acquire::http::Proxy \"$(apt-config dump --format '%v' Acquire::http::Proxy)\"" \
  --include="$(names "$here/packages.list" | tr ' ' ',')" \
  --customize-hook="$pack; pack \"\$1\" '$appliance'" \
  --customize-hook="chroot \"\$1\" apt-get install -y --no-install-recommends $(names "$here/world/packages.list")" \
  --customize-hook="$pack; pack \"\$1\" '$world'" \
  "$suite" /dev/null "${sources[@]}"
