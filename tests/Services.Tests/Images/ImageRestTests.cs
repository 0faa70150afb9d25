using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Services.Tests.Images;

/// <summary>The image REST API as clients meet it, through HTTP.</summary>
public sealed class ImageRestTests(ImageHost host) : IClassFixture<ImageHost>
{
    private const string Patch20 = "application/openstack-images-v2.0-json-patch";
    private const string Patch21 = "application/openstack-images-v2.1-json-patch";

    [Theory]
    [InlineData("", 300)]
    [InlineData("/", 300)]
    [InlineData("/versions", 200)]
    public async Task Versions_are_told_without_a_token(string path, int status)
    {
        using var response = await host.Http.GetAsync(new Uri(host.Http.BaseAddress!, "/image" + path));
        Assert.Equal(status, (int)response.StatusCode);
        var newest = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["versions"]![0]!;
        Assert.Equal("CURRENT", (string?)newest["status"]);
        Assert.Equal($"{host.Http.BaseAddress}v2/", (string?)newest["links"]![0]!["href"]);
    }

    [Fact]
    public async Task The_bare_version_leads_to_its_root()
    {
        using var response = await host.Http.GetAsync("v2");
        Assert.Equal((HttpStatusCode.Found, $"{host.Http.BaseAddress}v2/"), (response.StatusCode, response.Headers.Location!.ToString()));
    }

    [Fact]
    public async Task Everything_else_needs_a_token() => Assert.Equal(401, (await host.CallAsync("", HttpMethod.Get, "v2/images")).Status);

    [Fact]
    public async Task A_new_image_has_every_attribute_and_its_properties_beside_them()
    {
        using var response = await host.SendAsync("alice", HttpMethod.Post, "v2/images", new StringContent(
            """{"name":"n","disk_format":"raw","container_format":"bare","hw_disk_bus":"virtio","tags":["b","a","b"],"visibility":"private"}"""));
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        var body = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
        var id = (string)body["id"]!;
        Assert.Equal($"{host.Http.BaseAddress}v2/images/{id}", response.Headers.Location!.ToString());
        Assert.Equal(
            ["hw_disk_bus", "name", "disk_format", "container_format", "visibility", "size", "virtual_size", "status", "checksum", "protected",
             "min_ram", "min_disk", "owner", "os_hidden", "os_hash_algo", "os_hash_value", "id", "created_at", "updated_at", "tags", "self", "file",
             "schema"],
            body.Select(pair => pair.Key));
        Assert.Equal(["b", "a"], body["tags"]!.AsArray().Select(tag => (string?)tag));
        Assert.Null(body["size"]);
        Assert.Equal("queued", (string?)body["status"]);
        Assert.Equal($"/v2/images/{id}/file", (string?)body["file"]);
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", (string?)body["created_at"]);
    }

    [Theory]
    [InlineData("""{"disk_format":"wrong","container_format":"bare"}""", 400)]
    [InlineData("""{"disk_format":"raw","container_format":"wrong"}""", 400)]
    [InlineData("""{"name":7}""", 400)]
    [InlineData("""{"min_disk":"7"}""", 400)]
    [InlineData("""{"min_disk":-7}""", 400)]
    [InlineData("""{"id":"7"}""", 400)]
    [InlineData("""{"visibility":"secret"}""", 400)]
    [InlineData("""{"tags":"a"}""", 400)]
    [InlineData("""{"extra":{"a":1}}""", 400)]
    [InlineData("""["no"]""", 400)]
    [InlineData("""{"status":"active"}""", 403)]
    [InlineData("""{"deleted":"x"}""", 403)]
    [InlineData("""{"os_glance_stage_host":"x"}""", 403)]
    [InlineData("""{"locations":[]}""", 403)]
    [InlineData("""{"visibility":"public"}""", 403)]
    [InlineData("""{"owner":"project-of-bob"}""", 403)]
    public async Task A_body_that_breaks_a_rule_is_refused(string body, int status)
    {
        var (answered, error) = await host.CallAsync("alice", HttpMethod.Post, "v2/images", body);
        Assert.Equal(status, answered);
        Assert.StartsWith($"{status} ", (string?)error!["code"], StringComparison.Ordinal);
        Assert.NotEmpty((string)error["message"]!);
    }

    [Theory]
    [InlineData("GET", "v2/images/")]
    [InlineData("DELETE", "v2/images/")]
    [InlineData("GET", "v2/images/-1")]
    [InlineData("GET", "v2/images/99999999-9999-4999-8999-999999999999")]
    [InlineData("PUT", "v2/images/99999999-9999-4999-8999-999999999999/tags/a")]
    [InlineData("GET", "v2/info/stores")]
    public async Task What_is_not_there_is_not_found(string method, string path) =>
        Assert.Equal(404, (await host.CallAsync("alice", new HttpMethod(method), path)).Status);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Data_goes_in_and_comes_out(bool chunked)
    {
        var data = Qcow2DiskTests.FullDisk(3_000_001);
        var id = (string)(await host.CreateAsync("alice", "data"))["id"]!;
        Assert.Equal(204, (await host.CallAsync("alice", HttpMethod.Get, $"v2/images/{id}/file")).Status);
        Assert.Equal(204, await host.UploadAsync("alice", id, data, chunked));
        Assert.Equal(409, await host.UploadAsync("alice", id, data, chunked));

        using var whole = await host.SendAsync("alice", HttpMethod.Get, $"v2/images/{id}/file");
        Assert.Equal(data, await whole.Content.ReadAsByteArrayAsync());
        Assert.Equal(Convert.ToHexStringLower(MD5.HashData(data)), whole.Content.Headers.GetValues("Content-MD5").Single());
        var image = (await host.CallAsync("alice", HttpMethod.Get, $"v2/images/{id}")).Body!;
        Assert.Equal(("active", (long)data.Length, (long)data.Length), ((string?)image["status"], (long)image["size"]!, (long)image["virtual_size"]!));
        Assert.Equal(("sha512", Convert.ToHexStringLower(SHA512.HashData(data))), ((string?)image["os_hash_algo"], (string?)image["os_hash_value"]));

        Assert.Equal((206, "bytes 5-9/3000001"), await RangeAsync(id, new RangeHeaderValue(5, 9), data[5..10]));
        Assert.Equal((206, "bytes 2999999-3000000/3000001"), await RangeAsync(id, new RangeHeaderValue(2_999_999, null), data[^2..]));
        Assert.Equal((206, "bytes 2999998-3000000/3000001"), await RangeAsync(id, new RangeHeaderValue(null, 3), data[^3..]));
        Assert.Equal((416, "bytes */3000001"), await RangeAsync(id, new RangeHeaderValue(3_000_001, null), null));

        Assert.Equal(404, (await host.CallAsync("bob", HttpMethod.Get, $"v2/images/{id}/file")).Status);
        Assert.Equal(204, (await host.CallAsync("alice", HttpMethod.Post, $"v2/images/{id}/actions/deactivate")).Status);
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Get, $"v2/images/{id}/file")).Status);
        Assert.Equal(204, (await host.CallAsync("alice", HttpMethod.Post, $"v2/images/{id}/actions/reactivate")).Status);
    }

    [Fact]
    public async Task Data_of_another_type_or_size_than_announced_is_refused()
    {
        var id = (string)(await host.CreateAsync("alice", "bad"))["id"]!;
        Assert.Equal(415, (await host.CallAsync("alice", HttpMethod.Put, $"v2/images/{id}/file", "{}")).Status);
        using var content = new ByteArrayContent([1, 2, 3]);
        content.Headers.ContentType = new("application/octet-stream");
        content.Headers.Add("x-openstack-image-size", "4");
        using var response = await host.SendAsync("alice", HttpMethod.Put, $"v2/images/{id}/file", content);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("queued", (string?)(await host.CallAsync("alice", HttpMethod.Get, $"v2/images/{id}")).Body!["status"]);
    }

    [Fact]
    public async Task Both_dialects_of_patches_change_an_image()
    {
        var id = (string)(await host.CreateAsync("alice", "old", ""","extra":"1" """))["id"]!;
        async Task<(int Status, JsonNode? Body)> Patch(string type, string body) =>
            await host.CallAsync("alice", HttpMethod.Patch, $"v2/images/{id}", body, type);

        Assert.Equal("a", (string?)(await Patch(Patch20, """[{"replace":"/name","value":"a"}]""")).Body!["name"]);
        var changed = (await Patch(Patch21,
            """[{"op":"replace","path":"/name","value":"b"},{"op":"add","path":"/a~1b","value":"x"},{"op":"remove","path":"/extra"}]""")).Body!.AsObject();
        Assert.Equal(("b", "x", false), ((string?)changed["name"], (string?)changed["a/b"], changed.ContainsKey("extra")));

        Assert.Equal(409, (await Patch(Patch20, """[{"add":"/a~1b","value":"y"}]""")).Status);
        Assert.Equal(409, (await Patch(Patch21, """[{"op":"remove","path":"/never"}]""")).Status);
        Assert.Equal(409, (await Patch(Patch21, """[{"op":"replace","path":"/never","value":"x"}]""")).Status);
        Assert.Equal(403, (await Patch(Patch21, """[{"op":"remove","path":"/name"}]""")).Status);
        Assert.Equal(403, (await Patch(Patch21, """[{"op":"replace","path":"/id","value":"x"}]""")).Status);
        Assert.Equal(400, (await Patch(Patch21, """[{"op":"move","path":"/name","value":"x"}]""")).Status);
        Assert.Equal(400, (await Patch(Patch21, """[{"op":"add","path":"/tags/0","value":"x"}]""")).Status);
        Assert.Equal(400, (await Patch(Patch21, """[{"op":"add","path":"/name"}]""")).Status);
        Assert.Equal(400, (await Patch(Patch21, """{"op":"add"}""")).Status);
        Assert.Equal("b", (string?)(await host.CallAsync("alice", HttpMethod.Get, $"v2/images/{id}")).Body!["name"]);

        using var refused = await host.SendAsync("alice", HttpMethod.Patch, $"v2/images/{id}", new StringContent("[]", Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, refused.StatusCode);
        Assert.Contains(Patch21, refused.Headers.GetValues("Accept-Patch").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_are_cut_into_pages_that_lead_to_each_other()
    {
        var made = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            made.Add((string)(await host.CreateAsync("alice", $"page-{i}", ""","tags":["paged"]"""))["id"]!);
        }
        var first = (await host.CallAsync("alice", HttpMethod.Get, "v2/images?limit=2&tag=paged&sort=name:asc")).Body!;
        Assert.Equal(["images", "first", "schema", "next"], first.AsObject().Select(pair => pair.Key));
        Assert.Equal("/v2/images?limit=2&tag=paged&sort=name%3Aasc", (string?)first["first"]);
        var seen = Ids(first);
        for (var next = (string?)first["next"]; next is not null;)
        {
            var page = (await host.CallAsync("alice", HttpMethod.Get, next[1..])).Body!;
            seen.AddRange(Ids(page));
            next = (string?)page["next"];
        }
        Assert.Equal(made, seen);
        Assert.Empty(Ids((await host.CallAsync("bob", HttpMethod.Get, "v2/images?tag=paged")).Body!));
    }

    [Fact]
    public async Task Lists_are_filtered_by_attributes_and_properties()
    {
        var one = (string)(await host.CreateAsync("alice", "f,one", ""","tags":["filtered"],"colour":"red" """))["id"]!;
        var two = (string)(await host.CreateAsync("alice", "f-two", ""","tags":["filtered","second"],"min_ram":7"""))["id"]!;
        var hidden = (string)(await host.CreateAsync("alice", "f-hidden", ""","tags":["filtered"],"os_hidden":true"""))["id"]!;
        Assert.Equal(204, await host.UploadAsync("alice", two, new byte[1000], chunked: false));
        async Task<List<string>> Found(string query) =>
            Ids((await host.CallAsync("alice", HttpMethod.Get, $"v2/images?tag=filtered&sort_key=name&sort_dir=asc&{query}")).Body!);

        Assert.Equal([one, two], await Found(""));
        Assert.Equal([hidden], await Found("os_hidden=true"));
        Assert.Equal([two], await Found("tag=second"));
        Assert.Equal([one], await Found("colour=red"));
        Assert.Equal([two], await Found("status=active"));
        Assert.Equal([one, two], await Found("status=in:active,queued"));
        Assert.Equal([one], await Found("name=in:\"f,one\",other"));
        Assert.Equal([two], await Found("size=1000"));
        Assert.Equal([two], await Found("size_min=999&size_max=1001"));
        Assert.Empty(await Found("size_min=1001"));
        Assert.Equal([two], await Found("min_ram=7"));
        Assert.Empty(await Found("visibility=public"));
        Assert.Equal([one, two], await Found("created_at=gt:2020-01-01T00:00:00Z"));
        Assert.Empty(await Found("created_at=lt:2020-01-01T00:00:00Z"));
    }

    [Theory]
    [InlineData("limit=-1")]
    [InlineData("limit=x")]
    [InlineData("marker=99999999-9999-4999-8999-999999999999")]
    [InlineData("sort_key=wrong")]
    [InlineData("sort_key=name&sort_dir=up")]
    [InlineData("sort=name&sort_key=name")]
    [InlineData("size_min=big")]
    [InlineData("visibility=secret")]
    [InlineData("member_status=maybe")]
    [InlineData("created_at=gt:yesterday")]
    public async Task A_question_that_makes_no_sense_is_refused(string query) =>
        Assert.Equal(400, (await host.CallAsync("alice", HttpMethod.Get, "v2/images?" + query)).Status);

    [Fact]
    public async Task An_image_is_shared_with_a_member_who_accepts()
    {
        var id = (string)(await host.CreateAsync("alice", "shared", ""","tags":["sharing"]"""))["id"]!;
        var member = $"v2/images/{id}/members/project-of-bob";
        var (status, added) = await host.CallAsync("alice", HttpMethod.Post, $"v2/images/{id}/members", """{"member":"project-of-bob"}""");
        Assert.Equal((200, "pending", "/v2/schemas/member"), (status, (string?)added!["status"], (string?)added["schema"]));
        Assert.Equal(409, (await host.CallAsync("alice", HttpMethod.Post, $"v2/images/{id}/members", """{"member":"project-of-bob"}""")).Status);
        async Task<int> Listed(string query) =>
            Ids((await host.CallAsync("bob", HttpMethod.Get, "v2/images?tag=sharing" + query)).Body!).Count;
        Assert.Equal((0, 1, 1), (await Listed(""), await Listed("&member_status=pending"), await Listed("&member_status=all")));
        Assert.Equal(403, (await host.CallAsync("alice", HttpMethod.Put, member, """{"status":"accepted"}""")).Status);
        Assert.Equal(400, (await host.CallAsync("bob", HttpMethod.Put, member, """{"status":"perhaps"}""")).Status);
        Assert.Equal(200, (await host.CallAsync("bob", HttpMethod.Put, member, """{"status":"accepted"}""")).Status);
        Assert.Equal((1, 1), (await Listed(""), await Listed("&visibility=shared")));
        Assert.Single((await host.CallAsync("bob", HttpMethod.Get, $"v2/images/{id}/members")).Body!["members"]!.AsArray());
        Assert.Equal(204, (await host.CallAsync("alice", HttpMethod.Delete, member)).Status);
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Delete, member)).Status);
        Assert.Equal(404, (await host.CallAsync("bob", HttpMethod.Get, $"v2/images/{id}")).Status);
    }

    [Fact]
    public async Task Tags_come_and_go_one_by_one()
    {
        var id = (string)(await host.CreateAsync("alice", "tags"))["id"]!;
        Assert.Equal(204, (await host.CallAsync("alice", HttpMethod.Put, $"v2/images/{id}/tags/a%20b")).Status);
        Assert.Equal(["a b"], (await host.CallAsync("alice", HttpMethod.Get, $"v2/images/{id}")).Body!["tags"]!.AsArray().Select(tag => (string?)tag));
        Assert.Equal(204, (await host.CallAsync("alice", HttpMethod.Delete, $"v2/images/{id}/tags/a%20b")).Status);
        Assert.Equal(404, (await host.CallAsync("alice", HttpMethod.Delete, $"v2/images/{id}/tags/a%20b")).Status);
        Assert.Equal(400, (await host.CallAsync("alice", HttpMethod.Put, $"v2/images/{id}/tags/{new string('t', 256)}")).Status);
    }

    [Fact]
    public async Task Schemas_name_every_attribute_of_an_image()
    {
        var properties = (await host.CallAsync("alice", HttpMethod.Get, "v2/schemas/image")).Body!["properties"]!.AsObject();
        var image = await host.CreateAsync("alice", "schema");
        Assert.All(image.AsObject(), pair => Assert.True(properties.ContainsKey(pair.Key), pair.Key));
        var item = (await host.CallAsync("alice", HttpMethod.Get, "v2/schemas/images")).Body!["properties"]!["images"]!["items"]!;
        Assert.Equal(properties.ToJsonString(), item["properties"]!.ToJsonString());
        Assert.Equal("member", (string?)(await host.CallAsync("alice", HttpMethod.Get, "v2/schemas/member")).Body!["name"]);
        Assert.Empty((await host.CallAsync("alice", HttpMethod.Get, "v2/info/import")).Body!["import-methods"]!["value"]!.AsArray());
    }

    private static List<string> Ids(JsonNode body) => [.. body["images"]!.AsArray().Select(image => (string)image!["id"]!)];

    private async Task<(int Status, string Range)> RangeAsync(string id, RangeHeaderValue range, byte[]? expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"v2/images/{id}/file");
        request.Headers.Add("X-Auth-Token", "alice");
        request.Headers.Range = range;
        using var response = await host.Http.SendAsync(request);
        if (expected is not null)
        {
            Assert.Equal(expected, await response.Content.ReadAsByteArrayAsync());
        }
        return ((int)response.StatusCode, response.Content.Headers.GetValues("Content-Range").Single());
    }
}
