using Nephos.Compute.Instances;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;

namespace Nephos.Services.Tests.Compute;

/// <summary>Servers whose project leaves the network to the cloud.</summary>
public sealed class AutoNetworkTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Several_servers_of_a_project_without_networks_share_the_one_that_is_made()
    {
        await using var world = await WithoutNetworkAsync("made");

        var servers = await world.Get<InstanceCreation>().CreateAsync(ComputeWorld.User, Wish(world) with { MinCount = 3, MaxCount = 3 }, None);

        var made = Assert.Single(world.Network.Networks.Values);
        Assert.Equal("made", made.Name);
        Assert.Equal(3, servers.Count);
        Assert.All(servers, server => Assert.Equal(made.Id, Assert.Single(server.Instance.Nics).NetworkId));
    }

    [Fact]
    public async Task A_network_that_is_there_is_taken()
    {
        await using var world = await ComputeWorld.StartWithNodeAsync();

        var server = await world.CreateAsync(Wish(world));

        Assert.Equal(world.NetworkId, Assert.Single(server.Instance.Nics).NetworkId);
    }

    [Fact]
    public async Task A_cloud_without_defaults_for_it_refuses_the_request()
    {
        await using var world = await WithoutNetworkAsync(made: null);

        var fault = await Assert.ThrowsAsync<FaultException>(() => world.CreateAsync(Wish(world)));

        Assert.Equal(ErrorReason.InvalidArgument, fault.Reason);
        Assert.Contains("Unable to automatically allocate a network", fault.Message, StringComparison.Ordinal);
    }

    private static async Task<ComputeWorld> WithoutNetworkAsync(string? made)
    {
        var world = await ComputeWorld.StartWithNodeAsync();
        world.Network.Networks.Clear();
        world.Network.AutoNetworkName = made;
        return world;
    }

    private static InstanceWish Wish(ComputeWorld world) => world.Wish() with { Nics = [], AutoNetwork = true };
}
