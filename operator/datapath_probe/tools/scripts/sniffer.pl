# Prints the packets of one TCP connection on all interfaces of the node, as a pcap file that contains only headers.
#
# Run as `perl -e THIS FILTER SECONDS COUNT` in a cilium-agent container, which is in the node's network namespace
# and has NET_RAW; needs only perl-base, which Ubuntu and Debian images include. FILTER: instructions of a classic BPF
# program, "code,jt,jf,k code,jt,jf,k ...", for packets that start with their (outer) IP header; the kernel runs it.
# Writes "ready" to stderr when it listens. Ends after COUNT packets or SECONDS, or when its stdin has data or is closed;
# then prints the interfaces ("if INDEX NAME") and the number of packets that the kernel dropped ("lost N") to stderr.
use strict;
use warnings;

my ($filter, $seconds, $count) = @ARGV;
alarm $seconds + 5;    # never leave a process behind

# linux/if_packet.h, asm/socket.h, linux/sockios.h
my ($AF_PACKET, $SOCK_DGRAM, $SOL_SOCKET, $SO_ATTACH_FILTER) = (17, 2, 1, 26);
my ($SOL_PACKET, $PACKET_STATISTICS) = (263, 6);
my ($SIOCGSTAMP, $SIOCGIFNAME) = (0x8906, 0x8910);
my ($LINKTYPE_LINUX_SLL2, $IPPROTO_UDP) = (276, 17);
# Outer IPv4, UDP, VXLAN or Geneve without options, inner Ethernet: here the inner IP header begins.
my $INNER = 20 + 8 + 8 + 14;

my $program = join '', map { pack 'S C C L', split /,/ } split / /, $filter;
socket(my $socket, $AF_PACKET, $SOCK_DGRAM, 0) or die "no packet socket: $!\n";
setsockopt($socket, $SOL_SOCKET, $SO_ATTACH_FILTER, pack 'S x![P] P', length($program) / 8, $program)
    or die "no filter: $!\n";
ioctl($socket, $SIOCGSTAMP, my $stamp = "\0" x 16);    # from now on the kernel records timestamps
bind($socket, pack 'S n i S C C a8', $AF_PACKET, 3, 0, 0, 0, 0, '') or die "can't listen: $!\n";    # 3: every protocol
syswrite STDOUT, pack 'L S S l L L L', 0xa1b2c3d4, 2, 4, 0, 0, 65535, $LINKTYPE_LINUX_SLL2;
syswrite STDERR, "ready\n";

my %seen;
my $end = time + $seconds;
while ($count > 0 and (my $left = $end - time) > 0) {
    my $in = '';
    vec($in, fileno $_, 1) = 1 for $socket, \*STDIN;
    last if select($in, undef, undef, $left) < 1;
    last if not vec($in, fileno $socket, 1);    # packets that have arrived are read before stdin
    my $from = recv($socket, my $packet, 65536, 0) // last;
    my (undef, $protocol, $ifindex, $hatype, $type, $halen, $address) = unpack 'S n i S C C a8', $from;
    my ($s, $us) = ioctl($socket, $SIOCGSTAMP, $stamp) ? unpack 'q q', $stamp : (time, 0);
    my $length = length $packet;
    next if $length < 20;
    # Keep only the headers: the payload may be secret.
    my $ip = unpack('C', substr $packet, 9, 1) == $IPPROTO_UDP ? $INNER : 0;
    next if $length < $ip + 20;
    my $tcp = $ip + 4 * (unpack('C', substr $packet, $ip, 1) & 15);
    next if $length < $tcp + 20;
    my $keep = $tcp + 4 * (unpack('C', substr $packet, $tcp + 12, 1) >> 4);
    $packet = substr $packet, 0, $keep;
    my $record = pack('n n N n C C a8', $protocol, 0, $ifindex, $hatype, $type, $halen, $address) . $packet;
    syswrite STDOUT, pack('L L L L', $s, $us, length $record, 20 + $length) . $record;
    $seen{$ifindex} = 1;
    $count--;
}

for my $ifindex (sort keys %seen) {
    my $request = pack 'x16 i x20', $ifindex;
    syswrite STDERR, "if $ifindex " . unpack('Z16', $request) . "\n" if ioctl $socket, $SIOCGIFNAME, $request;
}
my $statistics = getsockopt $socket, $SOL_PACKET, $PACKET_STATISTICS;
syswrite STDERR, 'lost ' . unpack('x4 L', $statistics) . "\n" if defined $statistics;
