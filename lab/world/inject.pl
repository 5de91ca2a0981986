# Sends raw Ethernet frames: perl inject.pl DEVICE < frames, one frame a line as hex. Perl is in every Debian system
# (perl-base), so that the world needs no packet tool.
use strict;
my ($device) = @ARGV;
socket(my $ifr, 2, 2, 0) or die "socket: $!";                       # AF_INET, SOCK_DGRAM
my $request = pack('a16 x24', $device);
ioctl($ifr, 0x8933, $request) or die "$device: $!";                 # SIOCGIFINDEX
my $index = unpack('x16 i', $request);
socket(my $packet, 17, 3, unpack('S', pack('n', 3))) or die "socket: $!";   # AF_PACKET, SOCK_RAW, ETH_P_ALL
bind($packet, pack('S n i S C C a8', 17, 3, $index, 0, 0, 0, '')) or die "bind: $!";
while (my $line = <STDIN>) {
  chomp $line;
  next unless length $line;
  defined send($packet, pack('H*', $line), 0) or die "send: $!";
}
