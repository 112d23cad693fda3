# Prints the chains of nf_tables, and the rules of tables that iptables-save does not show, as the kernel returns them:
# netlink messages, one after another.
#
# Run as `perl -e THIS` in a network namespace, with NET_ADMIN; needs only perl-base. The images of agents have no `nft`.
use strict;
use warnings;

alarm 5;    # never leave a process behind

# linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
my ($AF_NETLINK, $SOCK_RAW, $NETLINK_NETFILTER) = (16, 3, 12);
my ($REQUEST_DUMP, $ERROR, $DONE, $SUBSYSTEM) = (0x301, 2, 3, 10 << 8);
my ($NEWCHAIN, $GETCHAIN, $GETRULE) = (3, 4, 7);
my ($CHAIN_TABLE, $RULE_TABLE) = (1, 1);
my %of_iptables = map { $_ => 1 } qw(raw mangle nat filter security);
my ($UNSPEC, $IPV4, $IPV6) = (0, 2, 10);

socket(my $socket, $AF_NETLINK, $SOCK_RAW, $NETLINK_NETFILTER) or die "no netlink socket: $!\n";

sub dump_all {
    my ($type, $family, $attributes) = @_;
    my $body = pack('C C n', $family, 0, 0) . $attributes;
    defined send($socket, pack('L S S L L', 16 + length $body, $SUBSYSTEM | $type, $REQUEST_DUMP, 1, 0) . $body, 0)
        or die "can't send: $!\n";
    my @messages;
    while (1) {
        defined recv($socket, my $batch, 1 << 20, 0) or die "no answer: $!\n";
        while (length $batch >= 16) {
            my ($length, $kind) = unpack 'L S', $batch;
            return @messages if $kind == $DONE;
            die "the kernel refuses: ", unpack('x16 l', $batch), "\n" if $kind == $ERROR;
            push @messages, substr $batch, 0, $length;
            substr $batch, 0, ($length + 3) & ~3, '';
        }
    }
}

my (%tables, $found);
for my $chain (dump_all($GETCHAIN, $UNSPEC, '')) {
    my ($family, $length, $kind) = unpack 'x16 C x3 S S', $chain;
    next if ($kind & 0x3fff) != $CHAIN_TABLE;
    my $name = unpack 'Z*', substr $chain, 24, $length - 4;
    next if ($family == $IPV4 or $family == $IPV6) and $of_iptables{$name};
    $tables{"$family $name"} = 1;
    $found .= $chain;
}
for my $table (sort keys %tables) {
    my ($family, $name) = split / /, $table, 2;
    my $attribute = pack 'S S Z*', 5 + length $name, $RULE_TABLE, $name;
    $found .= join '', dump_all($GETRULE, $family, $attribute . "\0" x (-length($attribute) % 4));
}
print $found // '';
