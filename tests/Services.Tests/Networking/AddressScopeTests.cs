using Nephos.Networking.AddressScopes;
using Nephos.Networking.Nodes;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;
using Nephos.Networking.SubnetPools;
using Nephos.Networking.Subnets;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Networking;

public sealed class AddressScopeTests : NetworkWorld
{
    [Fact]
    public async Task The_prefixes_of_the_pools_of_a_scope_do_not_overlap()
    {
        var scope = await ScopeAsync();
        var pool = await PoolAsync(scope.Id, "10.0.0.0/16");

        await FailsAsync(ErrorReason.AddressScopePrefixConflict, () => PoolAsync(scope.Id, "10.0.128.0/24"));
        var other = await PoolAsync(scope.Id, "10.1.0.0/16");
        await FailsAsync(ErrorReason.AddressScopePrefixConflict, () => Pools.UpdateAsync(
            Alice, other.Id, new SubnetPoolChanges { Prefixes = new(true, [Net("10.0.0.0/15")]) }, None));
        await PoolAsync(null, "10.0.0.0/16");
        await FailsAsync(ErrorReason.SubnetPoolNotForScope, () => PoolAsync(scope.Id, "fd00::/48"));
        await FailsAsync(ErrorReason.AddressScopeInUse, () => Scopes.DeleteAsync(Alice, scope.Id, None));
        foreach (var id in new[] { pool.Id, other.Id })
        {
            await Pools.UpdateAsync(Alice, id, new SubnetPoolChanges { AddressScopeId = new(true, null) }, None);
        }

        await Scopes.DeleteAsync(Alice, scope.Id, None);
    }

    [Fact]
    public async Task A_scope_of_another_project_is_used_only_when_it_is_shared()
    {
        var scope = await ScopeAsync();
        Task<SubnetPool> UseAsync() => Pools.CreateAsync(
            Bob, new NewSubnetPool { Prefixes = [Net("10.0.0.0/16")], AddressScopeId = scope.Id }, None);
        await FailsAsync(ErrorReason.AddressScopeNotFound, UseAsync);

        var policy = await Rbac.CreateAsync(Alice, new NewRbacPolicy("", "address_scope", scope.Id, "access_as_shared", Bob.ProjectId!), None);
        await UseAsync();
        await FailsAsync(ErrorReason.RbacPolicyInUse, () => Rbac.DeleteAsync(Alice, policy.Grant.Id, None));
        await FailsAsync(ErrorReason.Forbidden, () => Scopes.DeleteAsync(Bob, scope.Id, None));
    }

    [Fact]
    public async Task The_subnets_of_a_network_are_of_one_scope_which_nodes_are_told()
    {
        await Nodes.ArriveAsync("node-1", "", ["public"], None);
        var scope = await ScopeAsync();
        var pool = await PoolAsync(scope.Id, "10.0.0.0/16");
        var network = await NetworkAsync(Alice);
        await Subnets.CreateAsync(Alice, [new NewSubnet { NetworkId = network.Id, SubnetPoolId = pool.Id, PrefixLength = 24 }], None);

        await FailsAsync(ErrorReason.NetworkAddressScopeConflict, () => SubnetAsync(Alice, network, "192.168.0.0/24"));
        await PortAsync(Service, network, request => request with { ProjectId = Alice.ProjectId!, HostName = "node-1" });

        var view = await Store.ViewAsync(None);
        Assert.Equal(scope.Id, view.AddressScopeOf(network.Id, 4));
        Assert.Null(view.AddressScopeOf(network.Id, 6));
        Assert.Equal(scope.Id, Assert.Single(NodeStateBuilder.Build(view, "node-1", new NodePortWires()).Subnets).AddressScopeId);
    }

    private Task<AddressScope> ScopeAsync() => Scopes.CreateAsync(Alice, new NewAddressScope("", "s", 4, Shared: false, null), None);

    private Task<SubnetPool> PoolAsync(string? scope, string prefix) =>
        Pools.CreateAsync(Alice, new NewSubnetPool { Prefixes = [Net(prefix)], AddressScopeId = scope }, None);
}
