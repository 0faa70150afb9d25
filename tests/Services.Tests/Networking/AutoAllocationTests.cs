using Nephos.Networking.Networks;
using Nephos.Networking.Ports;
using Nephos.Networking.SubnetPools;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class AutoAllocationTests : NetworkWorld
{
    [Fact]
    public async Task A_project_gets_one_network_behind_a_router_however_often_it_asks()
    {
        await FailsAsync(ErrorReason.AutoAllocationImpossible, () => Topologies.EnsureAsync(Alice, Alice.ProjectId!, None));
        var outside = await Networks.CreateAsync(Admin, new NewNetwork { External = true, IsDefault = true, PhysicalNetwork = "public" }, None);
        await SubnetAsync(Admin, outside, "203.0.113.0/24");
        await FailsAsync(ErrorReason.AutoAllocationImpossible, () => Topologies.EnsureAsync(Alice, Alice.ProjectId!, None));
        await Pools.CreateAsync(
            Admin, new NewSubnetPool { Prefixes = [Net("10.0.0.0/16")], DefaultPrefixLength = 24, Shared = true, IsDefault = true }, None);

        var id = await Topologies.EnsureAsync(Alice, Alice.ProjectId!, None);
        Assert.Equal(id, await Topologies.EnsureAsync(Alice, Alice.ProjectId!, None));

        var view = await Store.ViewAsync(None);
        var router = Assert.Single(view.Routers.Values);
        Assert.Equal((Alice.ProjectId, outside.Id), (router.ProjectId, router.Gateway?.NetworkId));
        Assert.Single(view.PortsOfDevice(router.Id), port => port.DeviceOwner == DeviceOwners.RouterInterface && port.NetworkId == id);
        Assert.NotEqual(id, await Topologies.EnsureAsync(Bob, Bob.ProjectId!, None));
    }

    [Fact]
    public async Task A_topology_goes_when_nobody_is_on_it()
    {
        var outside = await Networks.CreateAsync(Admin, new NewNetwork { External = true, IsDefault = true, PhysicalNetwork = "public" }, None);
        await SubnetAsync(Admin, outside, "203.0.113.0/24");
        await Pools.CreateAsync(
            Admin, new NewSubnetPool { Prefixes = [Net("10.0.0.0/16")], DefaultPrefixLength = 24, Shared = true, IsDefault = true }, None);
        await FailsAsync(ErrorReason.NetworkNotFound, () => Topologies.DeleteAsync(Alice, Alice.ProjectId!, None));
        var id = await Topologies.EnsureAsync(Alice, Alice.ProjectId!, None);
        var port = await PortAsync(Alice, (await Store.ViewAsync(None)).Networks[id]);

        await FailsAsync(ErrorReason.NetworkInUse, () => Topologies.DeleteAsync(Alice, Alice.ProjectId!, None));
        await FailsAsync(ErrorReason.Forbidden, () => Topologies.DeleteAsync(Bob, Alice.ProjectId!, None));
        await Ports.DeleteAsync(Alice, port.Id, None);
        await Topologies.DeleteAsync(Alice, Alice.ProjectId!, None);

        var view = await Store.ViewAsync(None);
        Assert.Equal([outside.Id], view.Networks.Keys);
        Assert.Empty(view.Routers);
    }
}
