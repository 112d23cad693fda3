# Prints the conntrack entry that a netlink message asks for, as the kernel returns it; nothing if there is none.
#
# Run as `perl -e THIS HEX` in a network namespace, with NET_ADMIN; needs only perl-base. The images of agents have no
# `conntrack`.
use strict;
use warnings;

alarm 5;    # never leave a process behind

# linux/netlink.h, linux/netfilter/nfnetlink.h
my ($AF_NETLINK, $SOCK_RAW, $NETLINK_NETFILTER, $ERROR) = (16, 3, 12, 2);
my %no_entry = map { $_ => 1 } (-2, -22);    # ENOENT; EINVAL: the kernel has no conntrack

socket(my $socket, $AF_NETLINK, $SOCK_RAW, $NETLINK_NETFILTER) or die "no netlink socket: $!\n";
defined send($socket, pack('H*', $ARGV[0]), 0) or die "can't send: $!\n";
defined recv($socket, my $answer, 1 << 16, 0) or die "no answer: $!\n";
my ($length, $kind) = unpack 'L S', $answer;
if ($kind == $ERROR) {
    my $error = unpack 'x16 l', $answer;
    exit 0 if $no_entry{$error};
    die "the kernel refuses: $error\n";
}
print substr $answer, 0, $length;
