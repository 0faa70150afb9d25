using Nephos.ObjectStorage;
using Nephos.ObjectStorage.Sync;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>Containers that are copied to another one, here to one of the same cluster through its real HTTP server.</summary>
public sealed class ContainerSyncTests : ObjectTests
{
    private const string RealmKey = "realm's key";
    private readonly string _realm = $"R{Guid.NewGuid():N}";

    public ContainerSyncTests(ObjectCloud cloud)
        : base(cloud)
    {
        var options = cloud.Service<ObjectStorageOptions>().ContainerSync;
        lock (options)
        {
            options.Realms = new(options.Realms)
            {
                [_realm] = new ContainerSyncRealm { Key = RealmKey, Clusters = { ["here"] = new Uri(cloud.Http.BaseAddress!, "/object/v1/") } },
            };
        }
    }

    private Task PassAsync() => Cloud.Service<ContainerSyncWorker>().RunOnceAsync(CancellationToken.None);

    [Fact]
    public async Task Two_containers_that_are_copied_to_each_other_become_the_same()
    {
        await PairAsync("left", "right");
        await PairAsync("right", "left");
        (await SwiftAsync("PUT", "/left/a%20b/%C3%A9", Utf8("from left"), null, ("X-Object-Meta-Side", "left"), ("Content-Type", "text/x"))).Is(201);
        Cloud.Time.Advance(TimeSpan.FromSeconds(1));
        (await SwiftAsync("PUT", "/right/r", Bytes(300_000))).Is(201);

        await PassAsync();

        var (left, right) = (await SwiftAsync("GET", "/left?format=json"), await SwiftAsync("GET", "/right?format=json"));
        Assert.Equal(2, left.Array.Count);
        Assert.Equal(left.Text, right.Text);
        var copy = (await SwiftAsync("GET", "/right/a%20b/%C3%A9")).Is(200);
        Assert.Equal(("from left", "left", "text/x"), (copy.Text, copy["X-Object-Meta-Side"], copy["Content-Type"]));
        Assert.Equal(Bytes(300_000), (await SwiftAsync("GET", "/left/r")).Is(200).Body);

        // Once a pass has seen an object, its end goes over, and does not come back.
        await PassAsync();
        await SwiftAsync("DELETE", "/right/a%20b/%C3%A9");
        await PassAsync();
        await PassAsync();
        Assert.Equal("r\n", (await SwiftAsync("GET", "/left")).Text);
        Assert.Equal("r\n", (await SwiftAsync("GET", "/right")).Text);
    }

    [Fact]
    public async Task What_is_newer_on_the_other_side_stays()
    {
        await PairAsync("left", "right");
        await SwiftAsync("PUT", "/left/one", Utf8("old"));
        await SwiftAsync("PUT", "/left/two", Utf8("old"));
        await PassAsync();
        Cloud.Time.Advance(TimeSpan.FromSeconds(1));
        await SwiftAsync("PUT", "/left/one", Utf8("newer"));
        await SwiftAsync("DELETE", "/left/two");
        Cloud.Time.Advance(TimeSpan.FromSeconds(1));
        await SwiftAsync("PUT", "/right/one", Utf8("newest"));
        await SwiftAsync("PUT", "/right/two", Utf8("newest"));

        await PassAsync();

        Assert.Equal("newest", (await SwiftAsync("GET", "/right/one")).Is(200).Text);
        Assert.Equal("newest", (await SwiftAsync("GET", "/right/two")).Is(200).Text);
    }

    [Fact]
    public async Task What_could_not_be_sent_is_sent_by_a_later_pass()
    {
        await PairAsync("left", "right");
        await SwiftAsync("DELETE", "/right");
        await SwiftAsync("PUT", "/left/one", Utf8("x"));
        await PassAsync();
        (await SwiftAsync("GET", "/right/one")).Is(404);

        await SwiftAsync("PUT", "/right", null, null, ("X-Container-Sync-Key", "secret"));
        await PassAsync();

        Assert.Equal("x", (await SwiftAsync("GET", "/right/one")).Is(200).Text);
    }

    [Fact]
    public async Task Manifests_and_links_arrive_as_what_they_are()
    {
        await PairAsync("left", "right");
        var segment = Bytes(1000);
        await SwiftAsync("PUT", "/left/s", segment);
        (await SwiftAsync("PUT", "/left/big?multipart-manifest=put", Utf8("""[{"path":"/left/s"},{"path":"/left/s","range":"0-9"}]"""))).Is(201);
        (await SwiftAsync("PUT", "/left/link", [], null, ("X-Symlink-Target", "left/s"))).Is(201);

        await PassAsync();

        var (here, there) = (await SwiftAsync("HEAD", "/left/big"), (await SwiftAsync("GET", "/right/big")).Is(200));
        Assert.Equal([.. segment, .. segment[..10]], there.Body);
        Assert.Equal((here["ETag"], "True"), (there["ETag"], there["X-Static-Large-Object"]));
        Assert.Equal("left/s", (await SwiftAsync("HEAD", "/right/link?symlink=get")).Is(200)["X-Symlink-Target"]);
    }

    [Theory]
    [InlineData("REALM nonce 0000000000000000000000000000000000000000")]
    [InlineData("none nonce SIGNATURE")]
    [InlineData("REALM other SIGNATURE")]
    [InlineData("REALM")]
    [InlineData("")]
    public async Task A_request_that_the_realm_did_not_sign_is_refused(string header)
    {
        await PairAsync("left", "right");
        var path = $"/object/v1/AUTH_{Project}/right/key";
        var valid = SyncRealms.Sign("PUT", path, "1700000000.00000", "nonce", RealmKey, "secret");
        header = header.Replace("REALM", _realm, StringComparison.Ordinal).Replace("SIGNATURE", valid, StringComparison.Ordinal);

        (await SwiftAsync("PUT", "/right/key", Utf8("x"), "", ("X-Timestamp", "1700000000.00000"), ("X-Container-Sync-Auth", header))).Is(401);
        (await SwiftAsync("PUT", "/right/key", Utf8("x"), "", ("X-Timestamp", "1700000001.00000"), ("X-Container-Sync-Auth", $"{_realm} nonce {valid}"))).Is(401);
        (await SwiftAsync("DELETE", "/right/key", null, "", ("X-Timestamp", "1700000000.00000"), ("X-Container-Sync-Auth", $"{_realm} nonce {valid}"))).Is(401);
        (await SwiftAsync("PUT", "/right/key", Utf8("x"), "", ("X-Timestamp", "1700000000.00000"), ("X-Container-Sync-Auth", $"{_realm} nonce {valid}"))).Is(201);
    }

    [Theory]
    [InlineData("http://127.0.0.1/v1/AUTH_a/c")]
    [InlineData("//none/here/AUTH_a/c")]
    [InlineData("//REALM/none/AUTH_a/c")]
    [InlineData("//REALM/here/AUTH_a")]
    [InlineData("//REALM/here/AUTH_a/c/o")]
    public async Task A_target_that_is_not_configured_is_refused(string target) =>
        (await SwiftAsync("PUT", "/box", null, null, ("X-Container-Sync-Key", "k"), ("X-Container-Sync-To", target.Replace("REALM", _realm, StringComparison.Ordinal)))).Is(400);

    [Fact]
    public async Task Only_owners_see_the_settings_and_versions_exclude_them()
    {
        await PairAsync("left", "right");
        await SwiftAsync("POST", "/left", null, null, ("X-Container-Read", ".r:*,.rlistings"));

        Assert.Equal("secret", (await SwiftAsync("HEAD", "/left"))["X-Container-Sync-Key"]);
        var seen = (await SwiftAsync("HEAD", "/left", null, "")).Is(204);
        Assert.Equal((null, null), (seen["X-Container-Sync-Key"], seen["X-Container-Sync-To"]));
        (await SwiftAsync("POST", "/left", null, null, ("X-Versions-Enabled", "true"))).Is(400);
    }

    private async Task PairAsync(string from, string to)
    {
        await SwiftAsync("PUT", $"/{to}", null, null, ("X-Container-Sync-Key", "secret"));
        var put = await SwiftAsync("PUT", $"/{from}", null, null,
            ("X-Container-Sync-Key", "secret"), ("X-Container-Sync-To", $"//{_realm.ToLowerInvariant()}/HERE/AUTH_{Project}/{to}"));
        Assert.InRange(put.Status, 201, 202);
    }
}
