using Nephos.Hypervisor.Network;
using Nephos.Hypervisor.Network.Plans;
using Xunit;
using Xunit.Abstractions;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Services.Tests.HypervisorNetwork;

public sealed class ScaleTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_node_of_a_thousand_ports_is_planned_whole_and_changed_by_little()
    {
        await using var driver = new SimulatedNetworkDriver(new NodeNetworkSettings(new DataPlaneNames("sim"), null, new Dictionary<string, string>()));
        var wire = Snapshot(1000);
        await driver.ApplyAsync(wire.ToDomain(), CancellationToken.None);
        var before = driver.Applied!.Filter;
        wire.Ports.Add(Port(1001));

        var began = TimeProvider.System.GetTimestamp();
        var report = await driver.ApplyAsync(wire.ToDomain(), CancellationToken.None);
        output.WriteLine($"read and planned in {TimeProvider.System.GetElapsedTime(began).TotalMilliseconds:F1} ms");

        Assert.Equal(1001, report.Ports.Count(port => port.State == ItemState.Active));
        var change = driver.Applied!.Filter.ChangeFrom(before);
        Assert.NotNull(change);
        Assert.False(change.Removes);
        // Elements of eight sets and maps, whatever the size of the node.
        Assert.InRange(change.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length, 1, 9);
    }

    private static Wire.NodeNetworkState Snapshot(int ports)
    {
        var state = new Wire.NodeNetworkState { Revision = 1 };
        for (var network = 0; network < 10; network++)
        {
            state.Networks.Add(new Wire.NodeNetwork { Id = Id(1, network), Kind = Wire.NodeNetworkKind.Vxlan, Vni = (uint)network + 1, Mtu = 1450 });
            state.Subnets.Add(new Wire.NodeSubnet { Id = Id(2, network), NetworkId = Id(1, network), Cidr = "10.0.0.0/16", GatewayIp = "10.0.0.1", EnableDhcp = true });
        }

        state.SecurityGroups.Add(new Wire.NodeSecurityGroup
        {
            Id = Id(3, 0),
            Rules =
            {
                new Wire.NodeSecurityGroupRule { Direction = Wire.NodeRuleDirection.Egress, IpVersion = 4 },
                new Wire.NodeSecurityGroupRule { Direction = Wire.NodeRuleDirection.Ingress, IpVersion = 4, Protocol = 6, PortRangeMin = 22, PortRangeMax = 22 },
            },
        });
        state.Ports.AddRange(Enumerable.Range(0, ports).Select(Port));
        return state;
    }

    private static Wire.NodePort Port(int number) => new()
    {
        Id = Id(4, number), NetworkId = Id(1, number % 10), MacAddress = $"fa:16:3e:00:{number >> 8:x2}:{number & 0xFF:x2}", Epoch = 1, AdminStateUp = true,
        PortSecurityEnabled = true, SecurityGroupIds = { Id(3, 0) },
        FixedIps = { new Wire.NodeFixedIp { SubnetId = Id(2, number % 10), Address = $"10.0.{number >> 8}.{number & 0xFF}" } },
    };

    private static string Id(int kind, int number) => $"{kind:x8}-0000-0000-0000-{number:x12}";
}
