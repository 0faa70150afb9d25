using System.Reflection;
using Google.Protobuf.Reflection;
using Grpc.Core;
using Xunit;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Contract.Tests.Identity;

/// <summary>Watches over gRPC, with the generated clients.</summary>
public sealed class WatchTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    /// <summary>Lists that are parts of a resource which can be watched, that are computed, or whose watch is missing (see docs/STATUS.md).</summary>
    private static readonly string[] NotWatched =
    [
        "ListAccessRules", "ListAvailabilityZones", "ListBlockDevices", "ListBlockRanges", "ListBuckets", "ListChangedRanges", "ListEc2Credentials", "ListHypervisors",
        "ListImplications", "ListInstanceActions", "ListMembers", "ListNetworkAgents", "ListObjects", "ListQuotas", "ListRoleAssignments", "ListScopes",
        "ListSecurityGroupRules", "ListVolumeHeads",
    ];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public void Every_resource_that_can_be_listed_can_be_watched()
    {
        var services = typeof(Wire.Region).Assembly.GetTypes().Where(type => type.Name.EndsWith("Reflection", StringComparison.Ordinal))
            .Select(type => type.GetProperty("Descriptor", BindingFlags.Static | BindingFlags.Public)?.GetValue(null)).OfType<FileDescriptor>()
            .SelectMany(file => file.Services);

        var unwatched = services.SelectMany(service => service.Methods
            .Where(method => method.Name.StartsWith("List", StringComparison.Ordinal)
                && service.Methods.All(other => other.Name != "Watch" + method.Name[4..] || !other.IsServerStreaming))
            .Select(method => method.Name));

        Assert.Equal(NotWatched, unwatched.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_watch_shows_what_there_is_then_what_changes_and_what_goes()
    {
        var token = await host.AdminTokenAsync();
        var headers = new Metadata { { "authorization", $"Bearer {token}" } };
        var catalog = new Wire.Catalog.CatalogClient(host.Grpc);
        using var limit = new CancellationTokenSource(Patience);
        using var watch = catalog.WatchRegions(new Wire.WatchRegionsRequest(), headers, cancellationToken: limit.Token);
        var seen = new List<string>();
        Wire.RegionEvent next;
        do
        {
            next = await NextAsync();
            seen.Add(next.Changed?.Id ?? "");
        }
        while (!next.Synchronized);
        Assert.Contains("RegionOne", seen);

        await catalog.CreateRegionAsync(new Wire.CreateRegionRequest { Region = new Wire.Region { Id = "watched", Description = "one" } }, headers);
        var made = await NextAsync();
        Assert.Equal(("watched", "one"), (made.Changed.Id, made.Changed.Description));
        await catalog.UpdateRegionAsync(
            new Wire.UpdateRegionRequest { Region = new Wire.Region { Id = "watched", Description = "two" }, UpdateMask = new() { Paths = { "description" } } }, headers);
        Assert.Equal("two", (await NextAsync()).Changed.Description);
        await catalog.DeleteRegionAsync(new Wire.DeleteRegionRequest { RegionId = "watched" }, headers);
        Assert.Equal("watched", (await NextAsync()).Deleted);

        async Task<Wire.RegionEvent> NextAsync()
        {
            Assert.True(await watch.ResponseStream.MoveNext(limit.Token));
            return watch.ResponseStream.Current;
        }
    }

    [Fact]
    public async Task A_watch_of_what_the_caller_may_not_list_is_refused()
    {
        var token = (await host.NewMemberAsync()).Token;
        using var watch = new Wire.Catalog.CatalogClient(host.Grpc).WatchServices(
            new Wire.WatchServicesRequest(), new Metadata { { "authorization", $"Bearer {token}" } }, deadline: TimeProvider.System.GetUtcNow().UtcDateTime + Patience);

        var refused = await Assert.ThrowsAsync<RpcException>(() => watch.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
    }
}
