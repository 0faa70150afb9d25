using System.Text.Json.Nodes;
using Grpc.Core;
using Xunit;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Services.Tests.Images;

/// <summary>The catalogue of definitions, through HTTP and gRPC.</summary>
public sealed class MetadefTests(ImageHost host) : IClassFixture<ImageHost>
{
    private const string Root = "v2/metadefs/namespaces";

    [Fact]
    public async Task A_namespace_is_made_with_content_shown_changed_and_deleted()
    {
        var name = Name();
        var (status, made) = await host.CallAsync("admin", HttpMethod.Post, Root,
            $$$"""
            {"namespace":"{{{name}}}","visibility":"public","protected":true,"display_name":"CPU",
             "properties":{"cores":{"title":"Cores","type":"integer","minimum":1} },
             "objects":[{"name":"box","required":["cores"],"properties":{"cores":{"title":"Cores","type":"integer"} } }],
             "tags":[{"name":"fast"}],"resource_type_associations":[{"name":"OS::Nova::Flavor","prefix":"hw_"}]}
            """);
        Assert.Equal((201, name, "public"), (status, (string?)made!["namespace"], (string?)made["visibility"]));

        var (_, seen) = await host.CallAsync("bob", HttpMethod.Get, $"{Root}/{name}");
        Assert.Equal(1, (int?)seen!["properties"]!["cores"]!["minimum"]);
        Assert.Equal("""["cores"]""", seen["objects"]![0]!["required"]!.ToJsonString());
        Assert.Equal(("fast", "hw_"), ((string?)seen["tags"]![0]!["name"], (string?)seen["resource_type_associations"]![0]!["prefix"]));
        Assert.Equal(403, (await host.CallAsync("admin", HttpMethod.Delete, $"{Root}/{name}")).Status);

        var (changed, after) = await host.CallAsync("admin", HttpMethod.Put, $"{Root}/{name}", $$"""{"namespace":"{{name}}","protected":false,"visibility":"private"}""");
        Assert.Equal((200, "CPU", false), (changed, (string?)after!["display_name"], (bool?)after["protected"]));
        Assert.Equal(404, (await host.CallAsync("bob", HttpMethod.Get, $"{Root}/{name}")).Status);
        Assert.Equal(204, (await host.CallAsync("admin", HttpMethod.Delete, $"{Root}/{name}")).Status);
        Assert.Equal(404, (await host.CallAsync("admin", HttpMethod.Get, $"{Root}/{name}")).Status);
    }

    [Theory]
    [InlineData("properties", """{"name":"a","title":"A","type":"string"}""", """{"name":"b","title":"B","type":"string"}""")]
    [InlineData("objects", """{"name":"a"}""", """{"name":"b","description":"d"}""")]
    public async Task Definitions_are_added_renamed_and_removed_one_by_one(string collection, string first, string renamed)
    {
        var path = $"{Root}/{await NewAsync()}/{collection}";
        Assert.Equal(201, (await host.CallAsync("admin", HttpMethod.Post, path, first)).Status);
        Assert.Equal(409, (await host.CallAsync("admin", HttpMethod.Post, path, first)).Status);
        Assert.Equal(200, (await host.CallAsync("admin", HttpMethod.Put, path + "/a", renamed)).Status);
        Assert.Equal(404, (await host.CallAsync("admin", HttpMethod.Get, path + "/a")).Status);
        Assert.Equal("b", (string?)(await host.CallAsync("alice", HttpMethod.Get, path + "/b")).Body!["name"]);
        Assert.Equal(204, (await host.CallAsync("admin", HttpMethod.Delete, path + "/b")).Status);
        Assert.Equal(404, (await host.CallAsync("admin", HttpMethod.Delete, path + "/b")).Status);
    }

    [Fact]
    public async Task Tags_are_replaced_or_added_to()
    {
        var path = $"{Root}/{await NewAsync()}/tags";
        await host.CallAsync("admin", HttpMethod.Post, path, """{"tags":[{"name":"a"},{"name":"b"}]}""");
        Assert.Equal(201, (await host.CallAsync("admin", HttpMethod.Post, path + "/c")).Status);
        Assert.Equal(["a", "b", "c"], await TagsAsync(path));

        await host.CallAsync("admin", HttpMethod.Post, path, """{"tags":[{"name":"d"}]}""");
        Assert.Equal(["d"], await TagsAsync(path));
        Assert.Equal(200, (await host.CallAsync("admin", HttpMethod.Put, path + "/d", """{"name":"e"}""")).Status);
        Assert.Equal(204, (await host.CallAsync("admin", HttpMethod.Delete, path)).Status);
        Assert.Empty(await TagsAsync(path));
    }

    [Theory]
    [InlineData("""{}""", 400)]
    [InlineData("""{"namespace":""}""", 400)]
    [InlineData("""{"namespace":7}""", 400)]
    [InlineData("""{"namespace":"x","visibility":"shared"}""", 400)]
    [InlineData("""{"namespace":"x","properties":{"p":{"title":"t","type":"text"}}}""", 400)]
    [InlineData("""{"namespace":"x","tags":[{"name":"a"},{"name":"a"}]}""", 400)]
    [InlineData("""{"namespace":"x","objects":{}}""", 400)]
    public async Task What_is_not_a_namespace_is_refused(string json, int status) =>
        Assert.Equal(status, (await host.CallAsync("admin", HttpMethod.Post, Root, json)).Status);

    [Fact]
    public async Task Only_administrators_write_and_names_have_bounds()
    {
        var name = await NewAsync();
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Post, Root, """{"namespace":"mine"}""")).Status);
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Delete, $"{Root}/{name}")).Status);
        Assert.Equal(400, (await host.CallAsync("admin", HttpMethod.Post, Root, $$"""{"namespace":"{{new string('n', 256)}}"}""")).Status);
        Assert.Equal(404, (await host.CallAsync("admin", HttpMethod.Get, $"{Root}/{new string('n', 256)}")).Status);
        Assert.Equal(409, (await host.CallAsync("admin", HttpMethod.Post, Root, $$"""{"namespace":"{{name}}"}""")).Status);
    }

    [Fact]
    public async Task Lists_are_cut_into_pages()
    {
        var names = new HashSet<string> { await NewAsync(), await NewAsync(), await NewAsync() };
        var seen = new List<string>();
        for (var path = $"{Root}?limit=1"; path is not null;)
        {
            var (status, page) = await host.CallAsync("alice", HttpMethod.Get, path);
            Assert.Equal(200, status);
            seen.AddRange(page!["namespaces"]!.AsArray().Select(space => (string)space!["namespace"]!));
            path = ((string?)page["next"])?.TrimStart('/');
        }
        Assert.Superset(names, seen.ToHashSet());
        Assert.Equal(seen.Count, seen.Distinct().Count());
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Get, $"{Root}?marker=none")).Status);
    }

    [Fact]
    public async Task The_same_namespaces_are_reached_over_gRPC()
    {
        var metadefs = new Wire.Metadefs.MetadefsClient(host.Grpc);
        var wanted = new Wire.MetadefNamespace { Name = Name(), Public = true, Tags = { new Wire.MetadefItem { Name = "t" } } };
        var made = await metadefs.CreateMetadefNamespaceAsync(new Wire.CreateMetadefNamespaceRequest { Namespace = wanted }, ImageHost.As("admin"));
        Assert.Equal("project-of-admin", made.Owner);

        wanted.Tags.Clear();
        wanted.Public = false;
        var replaced = await metadefs.ReplaceMetadefNamespaceAsync(
            new Wire.ReplaceMetadefNamespaceRequest { Name = wanted.Name, Namespace = wanted }, ImageHost.As("admin"));

        Assert.Empty(replaced.Tags);
        Assert.Equal(made.CreatedAt, replaced.CreatedAt);
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Get, $"{Root}/{wanted.Name}")).Status);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await metadefs.GetMetadefNamespaceAsync(
            new Wire.GetMetadefNamespaceRequest { Name = wanted.Name }, ImageHost.As("alice")));
        Assert.Equal(StatusCode.NotFound, refused.StatusCode);
    }

    [Theory]
    [InlineData("namespace", "namespace")]
    [InlineData("resource_types", "resource_type_associations")]
    [InlineData("tags", "tags")]
    public async Task Schemas_are_told(string path, string name) =>
        Assert.Equal(name, (string?)(await host.CallAsync("alice", HttpMethod.Get, "v2/schemas/metadefs/" + path)).Body!["name"]);

    private static string Name() => "space-" + Guid.NewGuid().ToString("N");

    private async Task<string> NewAsync()
    {
        var name = Name();
        Assert.Equal(201, (await host.CallAsync("admin", HttpMethod.Post, Root, $$"""{"namespace":"{{name}}","visibility":"public"}""")).Status);
        return name;
    }

    private async Task<IEnumerable<string?>> TagsAsync(string path)
    {
        var (_, body) = await host.CallAsync("alice", HttpMethod.Get, path);
        return body!["tags"]!.AsArray().Select((JsonNode? tag) => (string?)tag!["name"]).ToList();
    }
}
