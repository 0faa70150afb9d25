using System.Formats.Tar;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The Swift face: listings, rights, composed objects, and what its middleware adds.</summary>
public sealed class SwiftTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    private static readonly string[] Keys = ["a", "b/1", "b/2", "b/c/3", "d", "é"];

    [Theory]
    [InlineData("", "a b/1 b/2 b/c/3 d é")]
    [InlineData("limit=2", "a b/1")]
    [InlineData("marker=b/1&limit=2", "b/2 b/c/3")]
    [InlineData("end_marker=d", "a b/1 b/2 b/c/3")]
    [InlineData("prefix=b/", "b/1 b/2 b/c/3")]
    [InlineData("delimiter=/", "a b/ d é")]
    [InlineData("prefix=b/&delimiter=/", "b/1 b/2 b/c/")]
    [InlineData("reverse=true", "é d b/c/3 b/2 b/1 a")]
    [InlineData("reverse=true&marker=d&limit=1", "b/c/3")]
    [InlineData("path=b", "b/1 b/2")]
    [InlineData("prefix=none", "")]
    public async Task Every_listing_parameter_means_the_same_in_all_formats(string query, string expected)
    {
        await FillAsync();
        var plain = await SwiftAsync("GET", $"/box?{query}");
        var json = (await SwiftAsync("GET", $"/box?{query}&format=json")).Is(200);
        var xml = (await SwiftAsync("GET", $"/box?{query}&format=xml")).Is(200);

        plain.Is(expected.Length == 0 ? 204 : 200);
        string[] wanted = expected.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(wanted, plain.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(wanted, json.Array.Select(item => (string?)(item!["name"] ?? item["subdir"])));
        Assert.Equal(wanted, xml.Xml.Elements().Select(item => item.Name == "subdir" ? item.Attribute("name")!.Value : item.Element("name")!.Value));
        Assert.Equal(("application/json; charset=utf-8", "application/xml; charset=utf-8", "text/plain; charset=utf-8"), (json["Content-Type"], xml["Content-Type"], plain["Content-Type"]));
    }

    [Fact]
    public async Task A_limit_beyond_the_bound_is_refused_and_containers_list_alike()
    {
        await FillAsync();
        await SwiftAsync("PUT", "/other");

        (await SwiftAsync("GET", "/box?limit=10001")).Is(412);
        Assert.Equal("box\nother\n", (await SwiftAsync("GET", "")).Is(200).Text);
        var account = (await SwiftAsync("HEAD", "")).Is(204);
        Assert.Equal(("2", "6"), (account["X-Account-Container-Count"], account["X-Account-Object-Count"]));
        Assert.Equal("6", (await SwiftAsync("HEAD", "/box"))["X-Container-Object-Count"]);
    }

    [Fact]
    public async Task A_container_keeps_its_objects_by_the_policy_it_was_made_with()
    {
        (await SwiftAsync("PUT", "/coded", null, null, ("X-Storage-Policy", "EC-2-1"))).Is(201);
        (await SwiftAsync("PUT", "/coded")).Is(202);
        (await SwiftAsync("PUT", "/coded", null, null, ("X-Storage-Policy", "Policy-0"))).Is(409);
        (await SwiftAsync("PUT", "/plain")).Is(201);
        // Eleven devices are not there.
        (await SwiftAsync("PUT", "/none", null, null, ("X-Storage-Policy", "ec-8-3"))).Is(400);
        Assert.Equal("ec-2-1", (await SwiftAsync("HEAD", "/coded"))["X-Storage-Policy"]);
        Assert.Equal("Policy-0", (await SwiftAsync("HEAD", "/plain"))["X-Storage-Policy"]);

        var content = new byte[(3 << 20) + 5];
        new Random(1).NextBytes(content);
        (await SwiftAsync("PUT", "/coded/large", content)).Is(201);
        Assert.Equal(content, (await SwiftAsync("GET", "/coded/large")).Is(200).Body);
    }

    [Fact]
    public async Task Metadata_is_replaced_on_objects_and_merged_on_containers()
    {
        await SwiftAsync("PUT", "/box", null, null, ("X-Container-Meta-One", "1"));
        await SwiftAsync("POST", "/box", null, null, ("X-Container-Meta-Two_Words", "2"));
        await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Object-Meta-Old", "1"));
        (await SwiftAsync("POST", "/box/key", null, null, ("X-Object-Meta-New", "2"))).Is(202);

        var box = await SwiftAsync("HEAD", "/box");
        var key = await SwiftAsync("HEAD", "/box/key");
        Assert.Equal(("1", "2"), (box["X-Container-Meta-One"], box["X-Container-Meta-Two-Words"]));
        Assert.Equal((null, "2"), (key["X-Object-Meta-Old"], key["X-Object-Meta-New"]));
        (await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Object-Meta-Long", new string('v', 257)))).Is(400);
        (await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Object-Meta-" + new string('n', 129), "v"))).Is(400);
    }

    [Fact]
    public async Task Acls_let_in_whom_they_name()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("PUT", "/box/key", Utf8("x"));
        var stranger = Stranger.Split(':');

        (await SwiftAsync("GET", "/box/key", null, Stranger)).Is(403);
        (await SwiftAsync("GET", "/box/key", null, "")).Is(401);
        (await SwiftAsync("POST", "/box", null, null, ("X-Container-Read", $"{stranger[1]}:{stranger[0]}"))).Is(204);
        (await SwiftAsync("GET", "/box/key", null, Stranger)).Is(200);
        (await SwiftAsync("PUT", "/box/key", Utf8("y"), Stranger)).Is(403);
        await SwiftAsync("POST", "/box", null, null, ("X-Container-Write", $"{stranger[1]}:*"), ("X-Container-Read", ".r:*"));
        (await SwiftAsync("PUT", "/box/key", Utf8("y"), Stranger)).Is(201);
        (await SwiftAsync("GET", "/box/key", null, "")).Is(200);
        (await SwiftAsync("GET", "/box", null, "")).Is(401);
        await SwiftAsync("POST", "/box", null, null, ("X-Container-Read", ".r:*,.rlistings"));
        (await SwiftAsync("GET", "/box", null, "")).Is(200);
        (await SwiftAsync("GET", "/box/key", null, Reader)).Is(200);
        (await SwiftAsync("DELETE", "/box/key", null, Reader)).Is(403);
        (await SwiftAsync("POST", "/box", null, null, ("X-Container-Write", ".r:*"))).Is(400);
        Assert.Null((await SwiftAsync("HEAD", "/box", null, Stranger))["X-Container-Write"]);
    }

    [Fact]
    public async Task A_static_large_object_is_its_checked_segments()
    {
        await SwiftAsync("PUT", "/box");
        var (first, second) = (Bytes(1000, 1), Bytes(2000, 2));
        await SwiftAsync("PUT", "/box/s1", first);
        await SwiftAsync("PUT", "/box/s2", second);
        var manifest = $$"""[{"path":"/box/s1","etag":"{{Md5(first)}}","size_bytes":1000},{"path":"/box/s2","range":"0-99"}]""";

        var put = (await SwiftAsync("PUT", "/box/big?multipart-manifest=put", Utf8(manifest))).Is(201);
        var got = (await SwiftAsync("GET", "/box/big")).Is(200);

        Assert.Equal([.. first, .. second[..100]], got.Body);
        Assert.Equal(("True", put["ETag"]), (got["X-Static-Large-Object"], got["ETag"]));
        var middle = (await SwiftAsync("GET", "/box/big", null, null, ("Range", "bytes=990-1009"))).Is(206).Body;
        Assert.Equal([.. first[990..], .. second[..10]], middle);
        Assert.Equal(second[..100], (await SwiftAsync("GET", "/box/big?part-number=2")).Is(206).Body);
        Assert.Equal(1100, (await SwiftAsync("GET", "/box?format=json")).Array.Single(item => (string?)item!["name"] == "big")!["bytes"]!.GetValue<int>());
        (await SwiftAsync("PUT", "/box/bad?multipart-manifest=put", Utf8("""[{"path":"/box/s1","etag":"00000000000000000000000000000000"}]"""))).Is(400);
        (await SwiftAsync("PUT", "/box/bad?multipart-manifest=put", Utf8("""[{"path":"/box/none"}]"""))).Is(400);
        (await SwiftAsync("PUT", "/box/bad?multipart-manifest=put", Utf8("not json"))).Is(400);
        var throughS3 = (await S3Async("GET", "/box/big")).Is(200).Body;
        Assert.Equal(got.Body, throughS3);
        await SwiftAsync("PUT", "/box/s1", Utf8("changed"));
        (await SwiftAsync("GET", "/box/big")).Is(409);
        (await SwiftAsync("DELETE", "/box/big?multipart-manifest=delete")).Is(200);
        (await SwiftAsync("GET", "/box")).Is(204);
    }

    [Fact]
    public async Task A_dynamic_large_object_is_what_its_prefix_holds()
    {
        await FillAsync();
        await SwiftAsync("PUT", "/box/big", [], null, ("X-Object-Manifest", "box/b/"));

        var got = (await SwiftAsync("GET", "/box/big")).Is(200);

        Assert.Equal(("b/1b/2b/c/3", "box/b/"), (got.Text, got["X-Object-Manifest"]));
        (await SwiftAsync("PUT", "/box/bad", [], null, ("X-Object-Manifest", "nowhere"))).Is(400);
    }

    [Fact]
    public async Task Signed_urls_open_one_object_for_one_method_and_time()
    {
        await FillAsync();
        await SwiftAsync("POST", "", null, null, ("X-Account-Meta-Temp-URL-Key", "key"));
        string Url(string method, string path, int seconds, string key = "key")
        {
            var expires = Cloud.Time.GetUtcNow().ToUnixTimeSeconds() + seconds;
            var signature = Convert.ToHexStringLower(HMACSHA256.HashData(Utf8(key), Utf8($"{method}\n{expires}\n/object/v1/AUTH_{Project}{path}")));
            return $"{path}?temp_url_sig={signature}&temp_url_expires={expires}";
        }

        var got = (await SwiftAsync("GET", Url("GET", "/box/a", 60), null, "")).Is(200);
        Assert.Equal("a", got.Text);
        Assert.StartsWith("attachment; filename=\"a\"", got["Content-Disposition"], StringComparison.Ordinal);
        (await SwiftAsync("HEAD", Url("GET", "/box/a", 60), null, "")).Is(200);
        (await SwiftAsync("PUT", Url("PUT", "/box/new", 60), Utf8("new"), "")).Is(201);
        (await SwiftAsync("PUT", Url("GET", "/box/a", 60), Utf8("x"), "")).Is(401);
        (await SwiftAsync("GET", Url("GET", "/box/a", -1), null, "")).Is(401);
        (await SwiftAsync("GET", Url("GET", "/box/a", 60, "wrong"), null, "")).Is(401);
        (await SwiftAsync("GET", "/box/d" + Url("GET", "/box/a", 60)["/box/a".Length..], null, "")).Is(401);
        (await SwiftAsync("PUT", Url("PUT", "/box/dlo", 60), [], "", ("X-Object-Manifest", "box/b"))).Is(401);
    }

    [Fact]
    public async Task Quotas_refuse_what_would_exceed_them()
    {
        await SwiftAsync("PUT", "/box", null, null, ("X-Container-Meta-Quota-Bytes", "10"), ("X-Container-Meta-Quota-Count", "2"));

        (await SwiftAsync("PUT", "/box/a", Bytes(6))).Is(201);
        (await SwiftAsync("PUT", "/box/b", Bytes(6))).Is(413);
        (await SwiftAsync("PUT", "/box/b", Bytes(4))).Is(201);
        (await SwiftAsync("PUT", "/box/c", [])).Is(413);
        Assert.Equal("QuotaExceeded", (await S3Async("PUT", "/box/c", Bytes(1))).Is(403).Code);
        (await SwiftAsync("POST", "", null, null, ("X-Account-Meta-Quota-Bytes", "5"))).Is(403);
        (await SwiftAsync("POST", "", null, Admin, ("X-Account-Meta-Quota-Bytes", "10"))).Is(204);
        await SwiftAsync("PUT", "/free");
        (await SwiftAsync("PUT", "/free/a", Bytes(1))).Is(413);
    }

    [Theory]
    [InlineData("X-Versions-Location", "one")]
    [InlineData("X-History-Location", null)]
    public async Task Versioned_writes_keep_what_is_replaced(string header, string? afterDelete)
    {
        await SwiftAsync("PUT", "/archive");
        await SwiftAsync("PUT", "/box", null, null, (header, "archive"));
        await SwiftAsync("PUT", "/box/key", Utf8("one"));
        Cloud.Time.Advance(TimeSpan.FromSeconds(1));
        await SwiftAsync("PUT", "/box/key", Utf8("two"));

        Assert.Single((await SwiftAsync("GET", "/archive?format=json")).Array);
        (await SwiftAsync("DELETE", "/box/key")).Is(204);
        var left = await SwiftAsync("GET", "/box/key");
        Assert.Equal(afterDelete, left.Status == 200 ? left.Text : null);
    }

    [Fact]
    public async Task Links_read_as_their_targets_within_bounds()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("PUT", "/box/target", Utf8("content"), null, ("X-Object-Meta-A", "1"));
        (await SwiftAsync("PUT", "/box/link", [], null, ("X-Symlink-Target", "box/target"))).Is(201);
        (await SwiftAsync("PUT", "/box/pinned", [], null, ("X-Symlink-Target", "box/target"), ("X-Symlink-Target-Etag", Md5(Utf8("content"))))).Is(201);
        await SwiftAsync("PUT", "/box/twice", [], null, ("X-Symlink-Target", "box/link"));
        await SwiftAsync("PUT", "/box/thrice", [], null, ("X-Symlink-Target", "box/twice"));

        var got = (await SwiftAsync("GET", "/box/link")).Is(200);
        Assert.Equal(("content", "1"), (got.Text, got["X-Object-Meta-A"]));
        Assert.Equal(("", "box/target"), ((await SwiftAsync("GET", "/box/link?symlink=get")).Is(200).Text, (await SwiftAsync("GET", "/box/link?symlink=get"))["X-Symlink-Target"]));
        Assert.Equal("content", (await SwiftAsync("GET", "/box/twice")).Is(200).Text);
        Assert.Equal("content", (await S3Async("GET", "/box/link")).Is(200).Text);
        (await SwiftAsync("GET", "/box/thrice")).Is(409);
        (await SwiftAsync("POST", "/box/link", null, null, ("X-Object-Meta-B", "2"))).Is(307);
        (await SwiftAsync("PUT", "/box/wrong", [], null, ("X-Symlink-Target", "box/target"), ("X-Symlink-Target-Etag", "0"))).Is(409);
        (await SwiftAsync("PUT", "/box/self", [], null, ("X-Symlink-Target", "box/self"))).Is(400);
        (await SwiftAsync("PUT", "/box/body", Utf8("x"), null, ("X-Symlink-Target", "box/target"))).Is(400);
        await SwiftAsync("PUT", "/box/target", Utf8("other"));
        (await SwiftAsync("GET", "/box/pinned")).Is(409);
        Assert.EndsWith("/box/target", (string?)(await SwiftAsync("GET", "/box?format=json&prefix=link")).Array[0]!["symlink_path"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_are_deleted_and_uploaded_in_one_request()
    {
        await FillAsync();
        var deleted = (await SwiftAsync("POST", "?bulk-delete", Utf8("box/a\nbox/b%2F1\n/box/none\n\nbox\n"), null, ("Accept", "application/json"), ("Content-Type", "text/plain"))).Is(200);
        var json = JsonNode.Parse(deleted.Body)!;
        Assert.Equal((2, 1), ((int)json["Number Deleted"]!, (int)json["Number Not Found"]!));
        Assert.Contains("409", json["Errors"]!.ToJsonString(), StringComparison.Ordinal);

        var archive = new MemoryStream();
        await using (var tar = new TarWriter(archive, leaveOpen: true))
        {
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "one.txt") { DataStream = new MemoryStream(Utf8("one")) });
            tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "../../escape/two.txt") { DataStream = new MemoryStream(Utf8("two")) });
        }
        var extracted = (await SwiftAsync("PUT", "/new/dir?extract-archive=tar", archive.ToArray())).Is(200);
        Assert.Contains("Number Files Created: 2", extracted.Text, StringComparison.Ordinal);
        Assert.Equal("dir/../../escape/two.txt\ndir/one.txt\n", (await SwiftAsync("GET", "/new")).Text);
        Assert.Equal("text/plain", (await SwiftAsync("HEAD", "/new/dir/one.txt"))["Content-Type"]);
        Assert.Contains("400 Bad Request", (await SwiftAsync("PUT", "/new?extract-archive=tar.gz", Utf8("this is no archive"))).Is(200).Text, StringComparison.Ordinal);
        (await SwiftAsync("PUT", "/new?extract-archive=rar", [])).Is(400);
        Assert.Contains("Number Deleted: 0", (await SwiftAsync("POST", "?bulk-delete", Utf8("new/dir/one.txt"), Stranger)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forms_upload_what_their_signature_allows()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("POST", "", null, null, ("X-Account-Meta-Temp-URL-Key", "key"));

        Assert.Equal("", (await FormAsync(60, 100)).Is(201).Text);
        Assert.Equal("hello", (await SwiftAsync("GET", "/box/in/file.txt")).Is(200).Text);
        Assert.Equal("FormPost: Form Expired", (await FormAsync(-5, 100)).Is(401).Text);
        Assert.Equal("FormPost: Invalid Signature", (await FormAsync(60, 100, "wrong")).Is(401).Text);
        (await FormAsync(60, 2)).Is(413);
    }

    [Fact]
    public async Task A_container_can_be_a_site()
    {
        await SwiftAsync("PUT", "/site", null, null, ("X-Container-Read", ".r:*,.rlistings"), ("X-Container-Meta-Web-Index", "index.html"),
            ("X-Container-Meta-Web-Error", "error.html"), ("X-Container-Meta-Web-Listings", "true"), ("X-Container-Meta-Web-Listings-CSS", "style.css"));
        await SwiftAsync("PUT", "/site/index.html", Utf8("welcome"), null, ("Content-Type", "text/html"));
        await SwiftAsync("PUT", "/site/404error.html", Utf8("nothing here"));
        await SwiftAsync("PUT", "/site/pics/%3Cscript%3E.png", Utf8("x"));

        Assert.EndsWith("/site/", (await SwiftAsync("GET", "/site", null, "")).Is(301)["Location"], StringComparison.Ordinal);
        Assert.Equal("welcome", (await SwiftAsync("GET", "/site/", null, "")).Is(200).Text);
        Assert.Equal("nothing here", (await SwiftAsync("GET", "/site/missing", null, "")).Is(404).Text);
        (await SwiftAsync("GET", "/site/pics", null, "")).Is(301);
        var listing = (await SwiftAsync("GET", "/site/pics/", null, "")).Is(200).Text;
        Assert.Contains("&lt;script&gt;.png", listing, StringComparison.Ordinal);
        Assert.DoesNotContain("<script>", listing, StringComparison.Ordinal);
        Assert.Contains("href=\"../style.css\"", listing, StringComparison.Ordinal);
        Assert.Contains("index.html", (await SwiftAsync("GET", "/site")).Is(200).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Objects_end_at_their_time_on_both_faces()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Delete-After", "60"));
        (await SwiftAsync("GET", "/box/key")).Is(200);
        Cloud.Time.Advance(TimeSpan.FromSeconds(61));

        (await SwiftAsync("GET", "/box/key")).Is(404);
        (await S3Async("GET", "/box/key")).Is(404);
        (await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Delete-At", "1"))).Is(400);
        (await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Delete-After", "soon"))).Is(400);
    }

    [Fact]
    public async Task Internal_headers_change_nothing()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("PUT", "/box/key", Utf8("x"), null, ("X-Object-Sysmeta-Slo-Etag", "e"), ("X-Object-Transient-Sysmeta-A", "b"), ("X-Backend-Storage-Policy-Index", "1"), ("X-Timestamp", "1.0"), ("X-Container-Host", "evil:1"));

        var got = (await SwiftAsync("GET", "/box/key")).Is(200);

        Assert.DoesNotContain(got.Headers.Keys, name => name.Contains("sysmeta", StringComparison.OrdinalIgnoreCase) || name.StartsWith("X-Backend", StringComparison.OrdinalIgnoreCase));
        Assert.NotEqual("1.0", got["X-Timestamp"]);
        Assert.Null(got["X-Static-Large-Object"]);
        Assert.Matches("^tx[0-9a-f]{21}-[0-9a-f]{10}$", got["X-Trans-Id"]);
    }

    [Theory]
    [InlineData("/box/..%2F..%2Fother", "../../other")]
    [InlineData("/box//double//slash/", "/double//slash/")]
    [InlineData("/box/%3Fquery%23part", "?query#part")]
    [InlineData("/box/%0Anewline", "\nnewline")]
    public async Task Tricks_in_names_stay_names(string path, string name)
    {
        await SwiftAsync("PUT", "/box");

        (await SwiftAsync("PUT", path, Utf8("x"))).Is(201);

        Assert.Equal("x", (await SwiftAsync("GET", path)).Is(200).Text);
        Assert.Equal(name, (string?)(await SwiftAsync("GET", "/box?format=json")).Array[0]!["name"]);
        (await SwiftAsync("PUT", "/box/%00", Utf8("x"))).Is(400);
        (await SwiftAsync("PUT", "/box/%FF", Utf8("x"))).Is(412);
        (await SwiftAsync("PUT", "/a%2Fb")).Is(400);
    }

    [Fact]
    public async Task Several_ranges_come_in_parts()
    {
        await SwiftAsync("PUT", "/box");
        await SwiftAsync("PUT", "/box/key", Utf8("0123456789"));

        var got = (await SwiftAsync("GET", "/box/key", null, null, ("Range", "bytes=0-1,8-"))).Is(206);

        Assert.StartsWith("multipart/byteranges;", got["Content-Type"], StringComparison.Ordinal);
        Assert.Contains("Content-Range: bytes 0-1/10\r\n\r\n01\r\n", got.Text, StringComparison.Ordinal);
        Assert.Contains("Content-Range: bytes 8-9/10\r\n\r\n89\r\n", got.Text, StringComparison.Ordinal);
    }

    private async Task FillAsync()
    {
        await SwiftAsync("PUT", "/box");
        foreach (var key in Keys)
        {
            (await SwiftAsync("PUT", "/box/" + Uri.EscapeDataString(key), Utf8(key))).Is(201);
        }
    }

    private Task<Reply> FormAsync(int seconds, int maxBytes, string key = "key")
    {
        var expires = Cloud.Time.GetUtcNow().ToUnixTimeSeconds() + seconds;
        var signature = Convert.ToHexStringLower(HMACSHA256.HashData(Utf8(key), Utf8($"/object/v1/AUTH_{Project}/box/in/\n\n{maxBytes}\n1\n{expires}")));
        var body = new StringBuilder();
        foreach (var (name, value) in new[]
        {
            ("redirect", ""), ("max_file_size", maxBytes.ToString(CultureInfo.InvariantCulture)), ("max_file_count", "1"),
            ("expires", expires.ToString(CultureInfo.InvariantCulture)), ("signature", signature),
        })
        {
            body.Append(CultureInfo.InvariantCulture, $"--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body.Append("--b\r\nContent-Disposition: form-data; name=\"file1\"; filename=\"file.txt\"\r\n\r\nhello\r\n--b--\r\n");
        return SwiftAsync("POST", "/box/in/", Utf8(body.ToString()), "", ("Content-Type", "multipart/form-data; boundary=b"));
    }
}
