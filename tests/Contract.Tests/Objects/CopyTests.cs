using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>Copies have the bytes of what they were made of, and outlive it.</summary>
public sealed class CopyTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    private const int Length = 200_000;

    [Theory]
    [InlineData("s3")]
    [InlineData("swift")]
    [InlineData("part")]
    [InlineData("versions")]
    public async Task A_copy_outlives_its_source(string how)
    {
        await SwiftAsync("PUT", "/archive");
        await SwiftAsync("PUT", "/box", null, null, how == "versions" ? [("X-Versions-Location", "archive")] : []);
        await SwiftAsync("PUT", "/box/source", Bytes(Length));

        var copy = await CopyAsync(how);

        await SwiftAsync("DELETE", "/box/source");
        if (how == "versions")
        {
            // The stack gives the older version back.
            Assert.Equal(Bytes(Length), (await SwiftAsync("GET", "/box/source")).Is(200).Body);
            return;
        }
        (await SwiftAsync("GET", "/box/source")).Is(404);
        Assert.Equal(Bytes(Length), (await SwiftAsync("GET", $"/archive/{copy}")).Is(200).Body);
        await SwiftAsync("DELETE", $"/archive/{copy}");
    }

    [Fact]
    public async Task An_object_copied_onto_itself_keeps_its_bytes()
    {
        await S3Async("PUT", "/box");
        await S3Async("PUT", "/box/key", Bytes(Length), null, ("x-amz-meta-a", "1"));

        (await S3Async("PUT", "/box/key", null, null, ("x-amz-copy-source", "/box/key"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "2"))).Is(200);

        var got = (await S3Async("GET", "/box/key")).Is(200);
        Assert.Equal("2", got["x-amz-meta-a"]);
        Assert.Equal(Bytes(Length), got.Body);
    }

    private async Task<string> CopyAsync(string how)
    {
        switch (how)
        {
            case "s3":
                (await S3Async("PUT", "/archive/copy", null, null, ("x-amz-copy-source", "/box/source"))).Is(200);
                return "copy";
            case "swift":
                (await SwiftAsync("COPY", "/box/source", null, null, ("Destination", "archive/copy"))).Is(201);
                return "copy";
            case "part":
                var upload = (await S3Async("POST", "/archive/copy?uploads")).Value("UploadId");
                var etag = (await S3Async("PUT", $"/archive/copy?partNumber=1&uploadId={upload}", null, null, ("x-amz-copy-source", "/box/source"))).Is(200).Value("ETag");
                (await S3Async("POST", $"/archive/copy?uploadId={upload}",
                    Utf8($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"))).Is(200);
                return "copy";
            default:
                (await SwiftAsync("PUT", "/box/source", Utf8("newer"))).Is(201);
                return (await SwiftAsync("GET", "/archive")).Text.Trim();
        }
    }
}
