using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Net.Client;
using Xunit;
using ComputeWire = Nephos.Protos.Compute.V1;
using IdentityWire = Nephos.Protos.Identity.V1;
using ImageWire = Nephos.Protos.Image.V1;
using NetworkWire = Nephos.Protos.Network.V1;

namespace Nephos.Probe.Tests.Roles;

/// <summary>Each role in a process of its own, records in etcd, clients at the gateway.</summary>
public sealed class RoleProcessesTests
{
    [EtcdFact]
    public async Task Roles_in_processes_of_their_own_serve_clients_through_the_gateway()
    {
        // The image role keeps content in the object role, and a network's ports need nobody else; volume is known and absent.
        await using var cloud = RoleProcesses.Create("identity", "image", "network", "compute", "object", "volume", "gateway");
        var compute = cloud.Start("compute");
        var identity = cloud.Start("identity");
        await cloud.WaitUntilReadyAsync("identity", identity);
        Assert.False(cloud.IsReady("compute"), "compute was ready without the services it calls");
        for (var store = 0; store < 3; store++)
        {
            cloud.StartStore(store);
        }

        foreach (var role in new[] { "network", "object", "image", "gateway", "volume" })
        {
            // The volume role calls the storage role, which is not told of here and so is looked for in its own process.
            await cloud.WaitUntilReadyAsync(role, cloud.Start(role));
        }
        await cloud.WaitUntilReadyAsync("compute", compute);

        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{cloud.GrpcPortOf("gateway")}");
        var issued = await IssueAsync(channel, cloud.Password("admin"));
        var headers = new Metadata { { "authorization", $"Bearer {issued.Token}" } };

        Assert.NotEmpty((await new ComputeWire.Flavors.FlavorsClient(channel).ListFlavorsAsync(new ComputeWire.ListFlavorsRequest(), headers)).Flavors);
        var network = await new NetworkWire.Networks.NetworksClient(channel).CreateNetworkAsync(
            new NetworkWire.CreateNetworkRequest { Name = "split", IdempotencyKey = "split" }, headers);
        var image = await new ImageWire.Images.ImagesClient(channel).CreateImageAsync(
            new ImageWire.CreateImageRequest { Name = "split", DiskFormat = "raw", ContainerFormat = "bare", IdempotencyKey = "split" }, headers);

        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{cloud.RestPortOf("gateway")}") };
        http.DefaultRequestHeaders.Add("X-Auth-Token", issued.Token);
        var networks = await http.GetFromJsonAsync<JsonObject>("/network/v2.0/networks");
        Assert.Contains(networks!["networks"]!.AsArray(), found => (string)found!["id"]! == network.Id);
        var found = await http.GetFromJsonAsync<JsonObject>($"/image/v2/images/{image.Id}");
        Assert.Equal("split", (string)found!["name"]!);
        var catalog = await http.GetFromJsonAsync<JsonObject>("/identity/v3/auth/catalog");
        Assert.DoesNotContain(catalog!["catalog"]!.AsArray(), entry => entry!["endpoints"]!.AsArray().Count == 0);

        // Revoked at identity, refused by another process.
        await new IdentityWire.Tokens.TokensClient(channel).RevokeTokenAsync(new IdentityWire.RevokeTokenRequest { Token = issued.Token }, headers);
        var status = HttpStatusCode.OK;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (status == HttpStatusCode.OK)
        {
            using var answer = await http.GetAsync("/network/v2.0/networks", patience.Token);
            status = answer.StatusCode;
        }
        Assert.Equal(HttpStatusCode.Unauthorized, status);
    }

    internal static async Task<IdentityWire.IssueTokenResponse> IssueAsync(GrpcChannel channel, string password)
    {
        var domain = new IdentityWire.DomainReference { Id = "default" };
        return await new IdentityWire.Tokens.TokensClient(channel).IssueTokenAsync(new IdentityWire.IssueTokenRequest
        {
            Password = new() { User = new() { Name = "admin", Domain = domain }, Password = password },
            Scope = new() { Project = new() { Name = "admin", Domain = domain } },
        });
    }
}
