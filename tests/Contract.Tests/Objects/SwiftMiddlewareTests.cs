using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.ObjectStorage;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>What stands around Swift's core: its own tokens, other origins, storage policies, and what /info says of all that.</summary>
public sealed class SwiftMiddlewareTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    [Theory]
    [InlineData("/auth/v1.0", "X-Auth-User", "X-Auth-Key")]
    [InlineData("/object/auth/v1.0", "X-Storage-User", "X-Storage-Pass")]
    public async Task A_name_and_a_password_answer_a_token_and_the_accounts_url(string path, string user, string key)
    {
        var got = (await SendAsync("GET", path, null, null, [(user, $"{Project}:alice"), (key, "secret")])).Is(200);

        Assert.Equal($"{Cloud.Http.BaseAddress}object/v1/AUTH_{Project}", got["X-Storage-Url"]);
        Assert.Equal((got["X-Storage-Token"], "3600"), (got["X-Auth-Token"], got["X-Auth-Token-Expires"]));
        (await SwiftAsync("PUT", "/box", null, got["X-Auth-Token"]!)).Is(201);
    }

    [Theory]
    [InlineData("alice", "secret")] // No project: no account to open.
    [InlineData("PROJECT:alice", "wrong")]
    [InlineData("PROJECT:alice", "")]
    [InlineData("", "secret")]
    public async Task Whoever_is_not_known_gets_no_token(string user, string key)
    {
        var got = await SendAsync("GET", "/auth/v1.0", null, null, [("X-Auth-User", user.Replace("PROJECT", Project, StringComparison.Ordinal)), ("X-Auth-Key", key)]);

        Assert.Null(got.Is(401)["X-Auth-Token"]);
    }

    [Theory]
    [InlineData("/crossdomain.xml")]
    [InlineData("/object/crossdomain.xml")]
    public async Task The_policy_for_other_domains_is_there(string path)
    {
        var got = (await SendAsync("GET", path, null, null, [])).Is(200);

        Assert.StartsWith("<?xml version=\"1.0\"?>\n<!DOCTYPE cross-domain-policy SYSTEM ", got.Text, StringComparison.Ordinal);
        Assert.EndsWith("<cross-domain-policy>\n<allow-access-from domain=\"*\" secure=\"false\" />\n</cross-domain-policy>", got.Text, StringComparison.Ordinal);
        Assert.Equal("application/xml", got["Content-Type"]);
    }

    [Fact]
    public async Task Preflights_are_answered_as_the_containers_metadata_says()
    {
        await SwiftAsync("PUT", "/box", null, null,
            ("X-Container-Meta-Access-Control-Allow-Origin", "http://a.example http://b.example"), ("X-Container-Meta-Access-Control-Max-Age", "60"));

        var allowed = (await SwiftAsync("OPTIONS", "/box/key", null, "",
            ("Origin", "http://b.example"), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "X-Auth-Token, Content-Type"))).Is(200);
        Assert.Equal(("http://b.example", "60"), (allowed["Access-Control-Allow-Origin"], allowed["Access-Control-Max-Age"]));
        Assert.Equal("X-Auth-Token, Content-Type", allowed["Access-Control-Allow-Headers"]);
        Assert.Contains("PUT", allowed["Access-Control-Allow-Methods"]!.Split(", "));
        Assert.Contains("Origin", allowed["Vary"]);

        (await SwiftAsync("OPTIONS", "/box/key", null, "", ("Origin", "http://c.example"), ("Access-Control-Request-Method", "PUT"))).Is(401);
        (await SwiftAsync("OPTIONS", "/box/key", null, "", ("Origin", "http://b.example"), ("Access-Control-Request-Method", "BREW"))).Is(401);
        (await SwiftAsync("OPTIONS", "/none/key", null, "", ("Origin", "http://b.example"), ("Access-Control-Request-Method", "PUT"))).Is(401);
        Assert.Contains("GET", (await SwiftAsync("OPTIONS", "/box", null, "")).Is(200).Headers.Values.Aggregate("", string.Concat));
    }

    [Fact]
    public async Task Scripts_see_the_answers_that_the_container_lets_them_see()
    {
        await SwiftAsync("PUT", "/box", null, null,
            ("X-Container-Meta-Access-Control-Allow-Origin", "*"), ("X-Container-Meta-Access-Control-Expose-Headers", "X-Mine"), ("X-Container-Read", ".r:*"));
        await SwiftAsync("PUT", "/closed");
        await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Object-Meta-Color", "blue"));

        var got = (await SwiftAsync("GET", "/box/key", null, "", ("Origin", "http://any.example"))).Is(200);
        Assert.Equal("*", got["Access-Control-Allow-Origin"]);
        var exposed = got["Access-Control-Expose-Headers"]!.Split(", ");
        Assert.Contains("x-object-meta-color", exposed);
        Assert.Contains("x-mine", exposed);
        Assert.Contains("etag", exposed);
        // Errors too, or a script could not tell what is wrong.
        Assert.Equal("*", (await SwiftAsync("GET", "/box/none", null, "", ("Origin", "http://any.example"))).Is(404)["Access-Control-Allow-Origin"]);
        Assert.Null((await SwiftAsync("GET", "/closed", null, null, ("Origin", "http://any.example"))).Is(204)["Access-Control-Allow-Origin"]);
        Assert.Null((await SwiftAsync("GET", "/box/key", null, "")).Is(200)["Access-Control-Allow-Origin"]);
    }

    [Fact]
    public async Task A_container_keeps_the_storage_policy_it_was_made_with()
    {
        var policies = JsonNode.Parse((await SendAsync("GET", "/info", null, null, [])).Is(200).Text)!["swift"]!["policies"]!.AsArray();
        // Of four devices no fragments of eight and three can have one each.
        Assert.Equal(["Policy-0", "ec-2-1"], policies.Select(policy => (string)policy!["name"]!));
        var name = (string)policies.Single(policy => policy!["default"] is not null)!["name"]!;

        (await SwiftAsync("PUT", "/box", null, null, ("X-Storage-Policy", name.ToUpperInvariant()))).Is(201);
        (await SwiftAsync("PUT", "/box", null, null, ("X-Storage-Policy", name))).Is(202);
        (await SwiftAsync("PUT", "/other", null, null, ("X-Storage-Policy", "gold"))).Is(400);
        Assert.Equal(name, (await SwiftAsync("HEAD", "/box"))["X-Storage-Policy"]);
        await SwiftAsync("PUT", "/box/key", Utf8("four"));
        var account = await SwiftAsync("HEAD", "");
        Assert.Equal(("1", "1", "4"), (
            account[$"X-Account-Storage-Policy-{name}-Container-Count"], account[$"X-Account-Storage-Policy-{name}-Object-Count"],
            account[$"X-Account-Storage-Policy-{name}-Bytes-Used"]));
    }

    [Fact]
    public async Task Info_tells_what_is_there()
    {
        var info = JsonNode.Parse((await SendAsync("GET", "/info", null, null, [])).Is(200).Text)!.AsObject();

        foreach (var name in new[] { "crossdomain", "container_sync", "ratelimit", "slo", "dlo", "symlink", "object_versioning", "staticweb", "s3api" })
        {
            Assert.True(info.ContainsKey(name), name);
        }
        Assert.Equal(1000, (int)info["s3api"]!["max_multi_delete_objects"]!);
        Assert.False(info.ContainsKey("tempauth"));
    }
}

/// <summary>The object service with limits of rates.</summary>
public sealed class LimitedCloud : ObjectCloud
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings =>
    [
        new("ObjectStorage:RateLimits:ContainerWrites:0:Objects", "2"),
        new("ObjectStorage:RateLimits:ContainerWrites:0:PerSecond", "0.5"),
        new("ObjectStorage:RateLimits:WaitMax", "00:00:01"),
        new("ObjectStorage:RateLimits:Buffer", "00:00:00"),
    ];
}

/// <summary>Requests over the rate are refused on both faces, counted together.</summary>
public sealed class RateLimitFaceTests(LimitedCloud cloud) : ObjectTests(cloud), IClassFixture<LimitedCloud>
{
    [Fact]
    public async Task Too_many_writes_are_told_to_slow_down_and_reads_are_not()
    {
        await SwiftAsync("PUT", "/box");
        (await SwiftAsync("PUT", "/box/1", Utf8("x"))).Is(201);
        (await SwiftAsync("PUT", "/box/2", Utf8("x"))).Is(201);
        // From the second object on there is a limit: one write now, the next in two seconds.
        (await SwiftAsync("PUT", "/box/3", Utf8("x"))).Is(201);

        Assert.Equal("Slow down", (await SwiftAsync("PUT", "/box/4", Utf8("x"))).Is(498).Text);
        Assert.Equal("SlowDown", (await S3Async("PUT", "/box/5", Utf8("x"))).Is(503).Code);
        (await SwiftAsync("GET", "/box/1")).Is(200);
        Cloud.Time.Advance(TimeSpan.FromSeconds(2));
        (await S3Async("DELETE", "/box/1")).Is(204);
        (await SwiftAsync("GET", "/box/4")).Is(404);
    }
}
