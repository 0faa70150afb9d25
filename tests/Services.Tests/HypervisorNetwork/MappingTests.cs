using Microsoft.Extensions.Time.Testing;
using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Linux;
using Nephos.Hypervisor.Network.Plans;
using Xunit;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.HypervisorNetwork;

public sealed class MappingTests
{
    private const string NetworkId = "00000000-0000-0000-0000-000000000001";
    private const string PortId = "00000000-0000-0000-0000-000000000002";

    [Theory]
    [InlineData("mac", "fa:16:3e:00:00")]
    [InlineData("mac", "01:16:3e:00:00:01")]
    [InlineData("mac", "fa:16:3e:00:00:zz")]
    [InlineData("address", "10.0.0.256")]
    [InlineData("pair", "10.0.0.0/33")]
    [InlineData("name", "a\"; flush ruleset; \"")]
    public void A_port_that_cannot_be_read_is_reported_and_the_others_are_wired(string field, string value)
    {
        var bad = Port();
        switch (field)
        {
            case "mac":
                bad.MacAddress = value;
                break;
            case "address":
                bad.FixedIps.Add(new Wire.NodeFixedIp { SubnetId = NetworkId, Address = value });
                break;
            case "pair":
                bad.AllowedAddressPairs.Add(new Wire.NodeAddressPair { IpAddress = value });
                break;
            default:
                bad.DnsName = value;
                break;
        }

        var good = Port();
        good.Id = "00000000-0000-0000-0000-000000000003";
        var state = new Wire.NodeNetworkState { Networks = { Network() }, Ports = { bad, good } }.ToDomain();

        Assert.Equal(good.Id, state.Ports.Single().Id.ToString());
        var rejected = state.Rejected.Ports.Single();
        Assert.Equal((PortId, ItemState.Failed), (rejected.Id.ToString(), rejected.State));
        Assert.Contains(value, rejected.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0u, 1450u)]
    [InlineData(16777216u, 1450u)]
    [InlineData(5u, 100u)]
    [InlineData(5u, 70000u)]
    public void A_network_out_of_bounds_is_rejected(uint vni, uint mtu)
    {
        var network = Network();
        (network.Vni, network.Mtu) = (vni, mtu);
        var state = new Wire.NodeNetworkState { Networks = { network } }.ToDomain();

        Assert.Empty(state.Networks);
        Assert.Equal(NetworkId, state.Rejected.Networks.Single().Id.ToString());
    }

    [Fact]
    public void A_rule_that_cannot_be_read_allows_nothing()
    {
        var state = new Wire.NodeNetworkState
        {
            SecurityGroups =
            {
                new Wire.NodeSecurityGroup
                {
                    Id = NetworkId,
                    Rules =
                    {
                        new Wire.NodeSecurityGroupRule { Direction = Wire.NodeRuleDirection.Ingress, IpVersion = 4, RemoteCidr = "nowhere" },
                        new Wire.NodeSecurityGroupRule { Direction = Wire.NodeRuleDirection.Ingress, IpVersion = 4, RemoteCidr = "fe80::/10" },
                        new Wire.NodeSecurityGroupRule { Direction = Wire.NodeRuleDirection.Ingress, IpVersion = 5 },
                        new Wire.NodeSecurityGroupRule { Direction = Wire.NodeRuleDirection.Ingress, IpVersion = 4, Protocol = 256 },
                    },
                },
            },
        }.ToDomain();

        Assert.Empty(state.SecurityGroups.Values.Single().Rules);
    }

    [Fact]
    public void Of_a_port_that_is_named_twice_the_higher_epoch_counts()
    {
        var (old, fresh) = (Port(), Port());
        (old.Epoch, fresh.Epoch) = (3, 4);
        var state = new Wire.NodeNetworkState { Networks = { Network() }, Ports = { fresh, old } }.ToDomain();

        Assert.Equal(4ul, state.Ports.Single().Epoch);
    }

    [Fact]
    public void A_prefix_owns_its_own_namespaces_only()
    {
        var names = new DataPlaneNames("nephos-node1");

        Assert.True(names.Owns("nephos-node1-dp"));
        Assert.True(names.Owns(names.RouterNamespace(Guid.Parse(PortId))));
        Assert.False(names.Owns("nephos-node10-dp"));
        Assert.False(names.Owns("nephos-node1-router-x"));
        Assert.False(names.Owns("nephos-node1-router-" + PortId + "-dp"));
    }

    [Fact]
    public void Names_of_devices_differ_where_ids_begin_alike_and_fit_into_fifteen_characters()
    {
        var ids = Enumerable.Range(0, 2000).Select(i => Guid.Parse($"01890000-0000-7000-8000-{i:x12}")).ToList();

        Assert.Equal(ids.Count, ids.Select(DataPlaneNames.Tap).Distinct().Count());
        Assert.All(ids, id => Assert.InRange(DataPlaneNames.Device("qr", id).Length, 1, 15));
        Assert.InRange(new DataPlaneNames("nephos-a-long-name-of-a-node").LegName("public").Length, 1, 15);
    }

    [Fact]
    public void What_an_earlier_life_left_waits_and_what_this_life_made_does_not()
    {
        var clock = new FakeTimeProvider();
        var policy = new RemovalPolicy(clock);

        Assert.Empty(policy.Decide(["own"], ["stranger"], out _));
        Assert.Equal(["own"], policy.Decide([], ["own", "stranger"], out _));
        policy.Removed("own");
        Assert.Equal(["stranger"], policy.Waiting);
        clock.Advance(RemovalPolicy.OrphanDelay);
        Assert.Equal(["stranger"], policy.Decide([], ["stranger"], out _));
        policy.Removed("stranger");

        // One that is wanted again in between waits anew.
        Assert.Empty(policy.Decide([], ["other"], out _));
        Assert.Empty(policy.Decide([], [], out _));
        clock.Advance(RemovalPolicy.OrphanDelay);
        Assert.Empty(policy.Decide([], ["other"], out _));
    }

    [Fact]
    public void A_pass_removes_a_bounded_number()
    {
        var policy = new RemovalPolicy(new FakeTimeProvider());
        var all = Enumerable.Range(0, RemovalPolicy.RemovalsPerPassMax + 1).Select(i => $"device/{i}").ToList();
        policy.Decide(all, [], out _);

        Assert.Equal(RemovalPolicy.RemovalsPerPassMax, policy.Decide([], all, out var more).Count);
        Assert.True(more);
    }

    private static Wire.NodeNetwork Network() => new() { Id = NetworkId, Kind = Wire.NodeNetworkKind.Vxlan, Vni = 5, Mtu = 1450 };

    private static Wire.NodePort Port() => new()
    {
        Id = PortId, NetworkId = NetworkId, MacAddress = "fa:16:3e:00:00:01", AdminStateUp = true, PortSecurityEnabled = true, Epoch = 1,
    };
}
