using System.Net;
using CsCheck;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Rules;
using Xunit;

namespace Nephos.Services.Tests.HypervisorNetwork;

public sealed class RuleTests
{
    private static readonly Guid Network = Guid.Parse("00000000-0000-0000-0000-000000000001");
    private static readonly Guid Group = Guid.Parse("00000000-0000-0000-0000-000000000002");
    private static readonly Guid Friends = Guid.Parse("00000000-0000-0000-0000-000000000003");

    [Fact]
    public void Rules_that_differ_in_ports_only_are_one_line()
    {
        var rules = new[] { (80, 80), (22, 22), (81, 90), (443, 443), (85, 100) }
            .Select(range => new RuleSpec(Ingress: true, 4, IpProtocol.Tcp, (ushort)range.Item1, (ushort)range.Item2, null, null));

        Assert.Equal(["meta nfproto ipv4 tcp dport { 22, 80-100, 443 } accept"], RuleText.Compile(rules, ingress: true, (_, _) => ""));
        Assert.Empty(RuleText.Compile(rules, ingress: false, (_, _) => ""));
    }

    [Fact]
    public void Each_kind_of_rule_has_its_words()
    {
        RuleSpec[] rules =
        [
            new(Ingress: true, 4, null, null, null, IPNetwork.Parse("10.0.0.0/8"), null),
            new(Ingress: true, 6, IpProtocol.IcmpV6, 128, null, null, null),
            new(Ingress: true, 4, IpProtocol.Icmp, 3, 4, null, null),
            new(Ingress: true, 4, 112, null, null, null, Friends),
            new(Ingress: true, 4, IpProtocol.Udp, null, null, IPNetwork.Parse("0.0.0.0/0"), null),
        ];

        Assert.Equal(
            [
                "ip saddr 10.0.0.0/8 accept",
                "ip saddr @friends meta l4proto 112 accept",
                "meta nfproto ipv4 icmp type 3 icmp code 4 accept",
                "meta nfproto ipv4 meta l4proto 17 accept",
                "meta nfproto ipv6 icmpv6 type 128 accept",
            ],
            RuleText.Compile(rules, ingress: true, (_, _) => "friends"));
    }

    [Fact]
    public void Collapsed_ranges_cover_the_same_addresses_and_do_not_overlap() =>
        Gen.Select(Gen.UInt, Gen.Int[8, 32], (address, prefix) => Addresses.FromUInt32(address & 0x0000_FFFF).FirstOf(prefix)).List[0, 20].Sample(networks =>
        {
            var collapsed = RuleText.Collapse(networks);
            Assert.All(networks, network => Assert.Contains(collapsed, wider => wider.Contains(network.BaseAddress) && wider.PrefixLength <= network.PrefixLength));
            Assert.All(collapsed, one => Assert.Single(collapsed, other => other.Overlaps(one)));
            Assert.Subset(networks.ToHashSet(), collapsed.ToHashSet());
        });

    [Theory]
    [InlineData("10.0.0.12", "10.0.0.11", IpProtocol.Tcp, 80, true)]
    [InlineData("10.0.0.12", "10.0.0.11", IpProtocol.Tcp, 81, false)]
    [InlineData("10.0.0.13", "10.0.0.11", IpProtocol.Udp, 5, true)]
    [InlineData("10.0.0.12", "10.0.0.11", IpProtocol.Udp, 5, false)]
    [InlineData("10.0.0.12", "10.0.0.11", IpProtocol.Icmp, 8 << 8, true)]
    [InlineData("10.0.0.12", "10.0.0.11", IpProtocol.Icmp, 13 << 8, false)]
    [InlineData("10.0.0.11", "192.0.2.1", IpProtocol.Tcp, 443, true)]
    [InlineData("10.0.0.11", "198.51.100.1", IpProtocol.Tcp, 443, false)]
    [InlineData("10.0.0.11", "169.254.169.254", IpProtocol.Tcp, 80, true)]
    [InlineData("10.0.0.12", "10.0.0.99", IpProtocol.Tcp, 81, true)]
    public void The_policy_says_who_may_begin(string source, string destination, byte protocol, int port, bool expected)
    {
        var group = new SecurityGroupSpec(Group, [
            new RuleSpec(Ingress: true, 4, IpProtocol.Tcp, 80, 80, null, null),
            new RuleSpec(Ingress: true, 4, IpProtocol.Icmp, 8, null, null, null),
            new RuleSpec(Ingress: true, 4, null, null, null, null, Friends),
            new RuleSpec(Ingress: false, 4, null, null, null, IPNetwork.Parse("192.0.2.0/24"), null),
        ], Stateless: false);
        var spec = new PortSpec(Guid.NewGuid(), Network, default, [new FixedIp(Guid.NewGuid(), IPAddress.Parse("10.0.0.11"))], null, 1, AdminStateUp: true,
            PortSecurity: true, [Group], [], "", []);
        var policy = new SecurityPolicy(NodeState.Empty with
        {
            Ports = [spec],
            SecurityGroups = new Dictionary<Guid, SecurityGroupSpec> { [Group] = group },
            GroupMembers = [new GroupMembersSpec(Friends, Network, [IPNetwork.Parse("10.0.0.13/32")])],
        });

        Assert.Equal(expected, policy.Permits(Network, new Flow(IPAddress.Parse(source), IPAddress.Parse(destination), protocol, 1024, (ushort)port)));
    }
}
