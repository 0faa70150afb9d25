using System.Globalization;
using Nephos.ObjectStorage.S3;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The lifecycle of buckets, on a clock that tests turn.</summary>
public sealed class S3LifecycleTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    private Task PassAsync() => Cloud.Service<LifecycleWorker>().RunOnceAsync(CancellationToken.None);

    private void Wait(double days) => Cloud.Time.Advance(TimeSpan.FromDays(days));

    [Fact]
    public async Task Objects_end_at_the_midnight_after_their_days_and_only_those_that_the_filter_names()
    {
        await S3Async("PUT", "/box");
        await RulesAsync(
            "<Rule><ID>logs</ID><Filter><And><Prefix>logs/</Prefix><ObjectSizeGreaterThan>2</ObjectSizeGreaterThan></And></Filter><Status>Enabled</Status><Expiration><Days>2</Days></Expiration></Rule>" +
            "<Rule><ID>tagged</ID><Filter><Tag><Key>keep</Key><Value>short</Value></Tag></Filter><Status>Enabled</Status><Expiration><Days>2</Days></Expiration></Rule>" +
            "<Rule><ID>off</ID><Prefix></Prefix><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule>");
        await S3Async("PUT", "/box/logs/large", Utf8("large"));
        await S3Async("PUT", "/box/logs/s", Utf8("s"));
        await S3Async("PUT", "/box/short", Utf8("x"), null, ("x-amz-tagging", "keep=short"));
        await S3Async("PUT", "/box/long", Utf8("x"), null, ("x-amz-tagging", "keep=long"));

        var expires = (await S3Async("HEAD", "/box/logs/large")).Is(200)["x-amz-expiration"]!;
        var midnight = Cloud.Time.GetUtcNow().UtcDateTime.Date.AddDays(3);
        Assert.Equal($"expiry-date=\"{midnight.ToString("R", CultureInfo.InvariantCulture)}\", rule-id=\"logs\"", expires);
        Assert.Null((await S3Async("HEAD", "/box/long"))["x-amz-expiration"]);

        Wait(2);
        await PassAsync();
        Assert.Equal(["logs/large", "logs/s", "long", "short"], await KeysAsync());
        Cloud.Time.Advance(midnight - Cloud.Time.GetUtcNow().UtcDateTime);
        await PassAsync();
        Assert.Equal(["logs/s", "long"], await KeysAsync());
    }

    [Fact]
    public async Task Where_versions_are_kept_the_current_one_gets_a_marker_and_older_ones_go_later()
    {
        await S3Async("PUT", "/box");
        await VersioningAsync();
        await RulesAsync(
            "<Rule><ID>a</ID><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>" +
            "<NoncurrentVersionExpiration><NoncurrentDays>5</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule>");
        foreach (var text in new[] { "one", "two", "three" })
        {
            await S3Async("PUT", "/box/key", Utf8(text));
        }

        Wait(3);
        await PassAsync();
        (await S3Async("GET", "/box/key")).Is(404);
        Assert.Equal(4, await VersionsAsync());
        Wait(7);
        await PassAsync();
        // The marker, and the one older version that stays.
        Assert.Equal(2, await VersionsAsync());
        await RulesAsync("<Rule><ID>a</ID><Filter/><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>5</NoncurrentDays></NoncurrentVersionExpiration></Rule>" +
            "<Rule><ID>b</ID><Filter/><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>");
        await PassAsync();
        Assert.Equal(0, await VersionsAsync());
    }

    [Fact]
    public async Task A_locked_version_outlives_its_rule()
    {
        await S3Async("PUT", "/box", null, null, ("x-amz-bucket-object-lock-enabled", "true"));
        var until = Cloud.Time.GetUtcNow().AddDays(30).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        (await S3Async("PUT", "/box/key", Utf8("kept"), null, ("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", until))).Is(200);
        await S3Async("PUT", "/box/key", Utf8("newer"));
        await RulesAsync("<Rule><ID>a</ID><Filter/><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule>");

        Wait(10);
        await PassAsync();
        Assert.Equal(2, await VersionsAsync());
        Wait(30);
        await PassAsync();
        Assert.Equal(1, await VersionsAsync());
    }

    [Fact]
    public async Task Uploads_that_were_forgotten_are_aborted()
    {
        await S3Async("PUT", "/box");
        await RulesAsync("<Rule><ID>stale</ID><Filter><Prefix>up/</Prefix></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>");
        var started = (await S3Async("POST", "/box/up/1?uploads")).Is(200);
        await S3Async("POST", "/box/other?uploads");

        Assert.Equal("stale", started["x-amz-abort-rule-id"]);
        Wait(2);
        await PassAsync();
        Assert.Equal(["other", "up/1"], (await S3Async("GET", "/box?uploads")).Values("Key"));
        Wait(2);
        await PassAsync();
        Assert.Equal(["other"], (await S3Async("GET", "/box?uploads")).Values("Key"));
        (await S3Async("PUT", $"/box/up/1?partNumber=1&uploadId={started.Value("UploadId")}", Utf8("x"))).Is(404);
    }

    [Fact]
    public async Task The_rules_come_back_as_they_were_and_can_be_removed()
    {
        await S3Async("PUT", "/box");
        Assert.Equal("NoSuchLifecycleConfiguration", (await S3Async("GET", "/box?lifecycle")).Is(404).Code);
        await RulesAsync("<Rule><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>");

        var got = (await S3Async("GET", "/box?lifecycle")).Is(200);
        Assert.Equal(("rule-1", "a", "k", "2030-01-01T00:00:00.000Z"), (got.Value("ID"), got.Value("Prefix"), got.Value("Key"), got.Value("Date")));
        (await S3Async("DELETE", "/box?lifecycle")).Is(204);
        (await S3Async("GET", "/box?lifecycle")).Is(404);
        (await S3Async("PUT", $"/{Project}%3Abox?lifecycle", Utf8("<LifecycleConfiguration/>"), Stranger)).Is(403);
    }

    [Theory]
    [InlineData("<Rule><Filter/><Status>Enabled</Status></Rule>", "InvalidRequest")]
    [InlineData("<Rule><Filter/><Status>On</Status><Expiration><Days>1</Days></Expiration></Rule>", "MalformedXML")]
    [InlineData("<Rule><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>", "MalformedXML")]
    [InlineData("<Rule><Filter/><Status>Enabled</Status><Expiration><Days>0</Days></Expiration></Rule>", "InvalidArgument")]
    [InlineData("<Rule><Filter/><Status>Enabled</Status><Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>", "MalformedXML")]
    [InlineData("<Rule><Filter/><Status>Enabled</Status><Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration></Rule>", "InvalidArgument")]
    [InlineData("<Rule><Filter/><Status>Enabled</Status><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>", "NotImplemented")]
    [InlineData("<Rule><Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>", "InvalidRequest")]
    [InlineData("<Rule><ID>x</ID><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule><Rule><ID>x</ID><Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>", "InvalidArgument")]
    [InlineData("", "MalformedXML")]
    public async Task Rules_that_make_no_sense_are_refused(string rules, string code)
    {
        await S3Async("PUT", "/box");

        Assert.Equal(code, (await S3Async("PUT", "/box?lifecycle", Utf8($"<LifecycleConfiguration>{rules}</LifecycleConfiguration>"))).Code);
    }

    private async Task RulesAsync(string rules) => (await S3Async("PUT", "/box?lifecycle", Utf8($"<LifecycleConfiguration>{rules}</LifecycleConfiguration>"))).Is(200);

    private async Task VersioningAsync() => (await S3Async("PUT", "/box?versioning", Utf8("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))).Is(200);

    private async Task<List<string>> KeysAsync() => (await S3Async("GET", "/box?list-type=2")).Is(200).Values("Key");

    private async Task<int> VersionsAsync() => (await S3Async("GET", "/box?versions")).Is(200).Values("VersionId").Count;
}
