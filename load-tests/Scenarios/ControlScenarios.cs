using System.Text.Json.Nodes;
using Grpc.Core;
using Grpc.Net.Client;
using Nephos.LoadTests.Running;
using Compute = Nephos.Protos.Compute.V1;

namespace Nephos.LoadTests.Scenarios;

/// <summary>Tokens and servers through REST and gRPC.</summary>
internal static class ControlScenarios
{
    public static Scenario IssueTokens(Target target, IReadOnlyList<LoadSimulation> load) => new(
        "token by password (REST)", Nothing, async context =>
        {
            await target.IssueTokenAsync(context.Cancelled);
            return Response.Ok();
        }, Nothing, load)
        {
            Server = target.Process,
        };

    public static Scenario IssueTokensByToken(Target target, IReadOnlyList<LoadSimulation> load) => new(
        "token by token (REST)", Nothing, async context =>
        {
            using var request = target.Request(HttpMethod.Post, "/identity/v3/auth/tokens?nocatalog", new
            {
                auth = new { identity = new { methods = new[] { "token" }, token = new { id = target.Token } }, scope = new { project = new { id = target.ProjectId } } },
            });
            using var response = await target.Http.SendAsync(request, context.Cancelled);
            return response.IsSuccessStatusCode ? Response.Ok() : Response.Fail($"{(int)response.StatusCode}");
        }, Nothing, load)
        {
            Server = target.Process,
        };

    public static Scenario ListFlavors(Target target, IReadOnlyList<LoadSimulation> load)
    {
        var channel = GrpcChannel.ForAddress(target.GrpcUrl);
        var client = new Compute.Flavors.FlavorsClient(channel);
        var headers = new Metadata { { "authorization", $"Bearer {target.Token}" } };
        return new Scenario(
            "list flavors (gRPC)", Nothing, async context =>
            {
                await client.ListFlavorsAsync(new Compute.ListFlavorsRequest(), headers, cancellationToken: context.Cancelled);
                return Response.Ok();
            },
            _ =>
            {
                channel.Dispose();
                return Task.CompletedTask;
            }, load)
        {
            Server = target.Process,
        };
    }

    /// <summary>The create request alone; servers are deleted in the end. Meant for the simulated hypervisor.</summary>
    public static Scenario CreateServers(Target target, IReadOnlyList<LoadSimulation> load)
    {
        var servers = new List<string>();
        var (image, network) = ("", "");
        return new Scenario(
            "create server (REST)",
            async cancellationToken => (image, network) = await ServerSetup.PrepareAsync(target, cancellationToken),
            async context =>
            {
                var id = await ServerSetup.CreateAsync(target, image, network, $"bench-{context.Iteration}", context.Cancelled);
                lock (servers)
                {
                    servers.Add(id);
                }
                return Response.Ok();
            },
            cancellationToken => ServerSetup.DeleteAsync(target, servers, cancellationToken),
            load)
        {
            Server = target.Process,
        };
    }

    private static Task Nothing(CancellationToken cancellationToken) => Task.CompletedTask;
}

/// <summary>What server scenarios need: an image, a network, and an end.</summary>
internal static class ServerSetup
{
    public static async Task<(string Image, string Network)> PrepareAsync(Target target, CancellationToken cancellationToken)
    {
        var images = await target.SendAsync(HttpMethod.Get, "/image/v2/images?status=active&limit=1", null, cancellationToken);
        var image = images["images"]!.AsArray().FirstOrDefault() ?? throw new InvalidOperationException("There is no active image; ./nephos up seeds one.");
        var networks = await target.SendAsync(HttpMethod.Get, "/network/v2.0/networks?name=bench", null, cancellationToken);
        if (networks["networks"]!.AsArray().FirstOrDefault() is { } found)
        {
            return ((string)image["id"]!, (string)found["id"]!);
        }
        var network = await target.SendAsync(HttpMethod.Post, "/network/v2.0/networks", new { network = new { name = "bench" } }, cancellationToken);
        var id = (string)network["network"]!["id"]!;
        await target.SendAsync(HttpMethod.Post, "/network/v2.0/subnets", new { subnet = new { network_id = id, cidr = "10.64.0.0/16", ip_version = 4 } }, cancellationToken);
        foreach (var (service, path, body) in new (string, string, object)[]
        {
            ("compute", $"/compute/v2.1/os-quota-sets/{target.ProjectId}", new { quota_set = new { instances = -1, cores = -1, ram = -1 } }),
            ("network", $"/network/v2.0/quotas/{target.ProjectId}", new { quota = new { port = -1 } }),
        })
        {
            await target.SendAsync(HttpMethod.Put, path, body, cancellationToken);
        }
        return ((string)image["id"]!, id);
    }

    public static async Task<string> CreateAsync(Target target, string image, string network, string name, CancellationToken cancellationToken)
    {
        var answer = await target.SendAsync(HttpMethod.Post, "/compute/v2.1/servers", new
        {
            server = new { name, imageRef = image, flavorRef = "42", networks = new[] { new { uuid = network } } },
        }, cancellationToken);
        return (string)answer["server"]!["id"]!;
    }

    public static async Task DeleteAsync(Target target, IReadOnlyList<string> servers, CancellationToken cancellationToken)
    {
        await Parallel.ForEachAsync(servers, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken },
            async (id, token) =>
            {
                using var request = target.Request(HttpMethod.Delete, $"/compute/v2.1/servers/{id}");
                using var response = await target.Http.SendAsync(request, token);
            });
    }

    public static async Task<int> CountActiveAsync(Target target, IReadOnlyCollection<string> wanted, CancellationToken cancellationToken)
    {
        var (active, marker) = (0, "");
        while (true)
        {
            var page = (await target.SendAsync(HttpMethod.Get, $"/compute/v2.1/servers/detail?limit=1000{marker}", null, cancellationToken))["servers"]!.AsArray();
            active += page.Count(server => wanted.Contains((string)server!["id"]!) && (string)server["status"]! == "ACTIVE");
            if (page.Count < 1000)
            {
                return active;
            }
            marker = $"&marker={(string)page[^1]!["id"]!}";
        }
    }
}
