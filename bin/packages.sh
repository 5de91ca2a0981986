# Sourced after node.sh: the Debian packages that this machine needs, by what they are for. What the guests contain stands in
# image/packages.list and image/world/packages.list.

# dist/: the eBPF object
build_packages=(clang-14 llvm-14 libbpf-dev libc6-dev linux-libc-dev)
# image/: root file systems, initramfs, boot sector, disks
image_packages=(mmdebstrap tar cpio xz-utils gzip binutils busybox-static e2fsprogs grub-common grub-pc-bin qemu-utils)
# running the guests
guest_packages=(qemu-system-x86 seabios)
# tests in namespaces and against charon, and the benchmarks' own check
test_packages=(clang libbpf1 libnftables1 iproute2 nftables procps util-linux kmod iputils-ping ethtool bpftool tcpdump tshark
  iperf3 curl openssl charon-systemd strongswan-swanctl libstrongswan-standard-plugins libcharon-extra-plugins)
