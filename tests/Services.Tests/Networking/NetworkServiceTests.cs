using Nephos.Kernel.Errors;
using Nephos.Networking.Networks;
using Nephos.Networking.Quotas;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class NetworkServiceTests : NetworkWorld
{
    [Fact]
    public async Task A_project_network_is_an_overlay_with_an_identifier_of_its_own()
    {
        var one = await NetworkAsync(Alice);
        var two = await NetworkAsync(Alice);

        Assert.Equal((NetworkKind.Vxlan, 1450), (one.Kind, one.MtuBytes));
        Assert.NotEqual(one.SegmentationId, two.SegmentationId);
    }

    [Fact]
    public async Task A_physical_network_carries_one_flat_network()
    {
        var flat = await Networks.CreateAsync(Admin, new NewNetwork { PhysicalNetwork = "provider" }, None);

        Assert.Equal((NetworkKind.Flat, 1500), (flat.Kind, flat.MtuBytes));
        await FailsAsync(ErrorReason.PhysicalNetworkInUse, () => Networks.CreateAsync(Admin, new NewNetwork { PhysicalNetwork = "provider" }, None));

        await Networks.DeleteAsync(Admin, flat.Id, None);
        await Networks.CreateAsync(Admin, new NewNetwork { PhysicalNetwork = "provider" }, None);
    }

    [Fact]
    public async Task An_unknown_physical_network_is_refused_by_name()
    {
        var fault = await FailsAsync(ErrorReason.InvalidNetworkInput, () => Networks.CreateAsync(Admin, new NewNetwork { PhysicalNetwork = "moon" }, None));

        Assert.Contains("moon", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_chosen_identifier_is_given_once()
    {
        await Networks.CreateAsync(Admin, new NewNetwork { Kind = NetworkKind.Vxlan, SegmentationId = 77 }, None);

        await FailsAsync(ErrorReason.TunnelIdInUse, () => Networks.CreateAsync(Admin, new NewNetwork { Kind = NetworkKind.Vxlan, SegmentationId = 77 }, None));
    }

    [Fact]
    public async Task Members_may_not_share_or_choose_the_physical_side()
    {
        foreach (var request in new[]
                 {
                     new NewNetwork { Shared = true }, new NewNetwork { External = true }, new NewNetwork { PhysicalNetwork = "public" },
                     new NewNetwork { SegmentationId = 5 },
                 })
        {
            await FailsAsync(ErrorReason.Forbidden, () => Networks.CreateAsync(Alice, request, None));
        }
    }

    [Fact]
    public async Task A_network_of_another_project_is_not_found()
    {
        var network = await NetworkAsync(Alice);

        await FailsAsync(ErrorReason.NetworkNotFound, () => Networks.UpdateAsync(Bob, network.Id, new NetworkChanges { Name = "mine" }, None));
        await FailsAsync(ErrorReason.NetworkNotFound, () => Networks.DeleteAsync(Bob, network.Id, None));
        await FailsAsync(ErrorReason.NetworkNotFound, () => Networks.DeleteAsync(Alice, "not-an-id", None));
    }

    [Fact]
    public async Task A_shared_network_can_be_seen_but_not_changed()
    {
        var network = await Networks.CreateAsync(Admin, new NewNetwork { Shared = true }, None);

        await FailsAsync(ErrorReason.Forbidden, () => Networks.DeleteAsync(Bob, network.Id, None));
    }

    [Fact]
    public async Task Deleting_a_network_takes_its_subnets_along()
    {
        var network = await NetworkAsync(Alice);
        await SubnetAsync(Alice, network, "10.0.0.0/24");

        await Networks.DeleteAsync(Alice, network.Id, None);

        Assert.Empty((await Store.ViewAsync(None)).Subnets);
        Assert.Equal((0, 0), (await UsedAsync(Alice, QuotaResources.Network), await UsedAsync(Alice, QuotaResources.Subnet)));
    }

    [Fact]
    public async Task Deleting_a_network_with_ports_fails_as_in_use()
    {
        var network = await NetworkAsync(Alice);
        var port = await PortAsync(Alice, network);

        await FailsAsync(ErrorReason.NetworkInUse, () => Networks.DeleteAsync(Alice, network.Id, None));

        await Ports.DeleteAsync(Alice, port.Id, None);
        await Networks.DeleteAsync(Alice, network.Id, None);
    }

    [Fact]
    public async Task The_same_request_twice_makes_one_network()
    {
        var request = new NewNetwork { Name = "once", IdempotencyKey = "k" };

        var first = await Networks.CreateAsync(Alice, request, None);
        var second = await Networks.CreateAsync(Alice, request, None);
        var others = await Networks.CreateAsync(Bob, request, None);

        Assert.Equal(first.Id, second.Id);
        Assert.NotEqual(first.Id, others.Id);
        Assert.Equal(1, await UsedAsync(Alice, QuotaResources.Network));
    }

    [Fact]
    public async Task A_request_for_several_networks_makes_all_or_none()
    {
        NewNetwork[] requests = [new() { Name = "good" }, new() { Name = new string('x', 256) }];

        await FailsAsync(ErrorReason.InvalidArgument, () => Networks.CreateAsync(Alice, requests, None));

        Assert.Empty((await Store.ViewAsync(None)).Networks);
    }

    [Theory]
    [InlineData(1451)]
    [InlineData(67)]
    [InlineData(-1)]
    public async Task An_mtu_that_the_underlay_cannot_carry_is_refused(int mtu) =>
        await FailsAsync(ErrorReason.InvalidNetworkInput, () => Networks.CreateAsync(Alice, new NewNetwork { MtuBytes = mtu }, None));

    [Fact]
    public async Task An_external_network_stays_external_while_routers_use_it()
    {
        var (_, _, outside, _) = await RoutedAsync();

        await FailsAsync(ErrorReason.Conflict, () => Networks.UpdateAsync(Admin, outside.Id, new NetworkChanges { External = false }, None));
    }

    [Fact]
    public async Task There_is_one_default_external_network()
    {
        await Networks.CreateAsync(Admin, new NewNetwork { External = true, IsDefault = true, PhysicalNetwork = "public" }, None);

        var fault = await Assert.ThrowsAsync<FaultException>(() => Networks.CreateAsync(
            Admin, new NewNetwork { External = true, IsDefault = true, PhysicalNetwork = "provider" }, None));

        Assert.Equal(ErrorReason.DefaultExternalNetworkExists, fault.Reason);
    }
}
