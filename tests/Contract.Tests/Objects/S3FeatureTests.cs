using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>Multipart uploads, versions, tags, locks, rights and forms of S3.</summary>
public sealed class S3FeatureTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    private const int PartBytes = 5 * 1024 * 1024;

    [Fact]
    public async Task A_multipart_upload_reads_as_one_object_through_both_faces()
    {
        await S3Async("PUT", "/bucket");
        var (first, second) = (Bytes(PartBytes, 1), Bytes(1000, 2));
        var upload = (await S3Async("POST", "/bucket/big?uploads", [], null, ("x-amz-meta-a", "1"))).Is(200).Value("UploadId");

        var one = (await S3Async("PUT", $"/bucket/big?partNumber=1&uploadId={upload}", first)).Is(200)["ETag"]!;
        var two = (await S3Async("PUT", $"/bucket/big?partNumber=7&uploadId={upload}", second)).Is(200)["ETag"]!;
        Assert.Equal(["1", "7"], (await S3Async("GET", $"/bucket/big?uploadId={upload}")).Is(200).Values("PartNumber"));
        Assert.Equal(["big"], (await S3Async("GET", "/bucket?uploads")).Is(200).Values("Key"));
        var complete = Utf8($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{one}</ETag></Part><Part><PartNumber>7</PartNumber><ETag>{two}</ETag></Part></CompleteMultipartUpload>");
        var done = (await S3Async("POST", $"/bucket/big?uploadId={upload}", complete)).Is(200);
        var again = (await S3Async("POST", $"/bucket/big?uploadId={upload}", complete)).Is(200);

        var etag = Convert.ToHexStringLower(MD5.HashData([.. MD5.HashData(first), .. MD5.HashData(second)])) + "-2";
        Assert.Equal(($"\"{etag}\"", $"\"{etag}\""), (done.Value("ETag"), again.Value("ETag")));
        var whole = (await S3Async("GET", "/bucket/big")).Is(200);
        Assert.Equal([.. first, .. second], whole.Body);
        Assert.Equal("1", whole["x-amz-meta-a"]);
        var part = (await S3Async("GET", "/bucket/big?partNumber=2")).Is(206);
        Assert.Equal((second.Length, "2"), (part.Body.Length, part["x-amz-mp-parts-count"]));
        var swift = (await SwiftAsync("GET", "/bucket/big")).Is(200);
        Assert.Equal([.. first, .. second], swift.Body);
        Assert.Equal(second, (await SwiftAsync("GET", "/bucket/big?part-number=2")).Is(206).Body);
    }

    [Fact]
    public async Task A_completion_that_names_wrong_parts_is_refused()
    {
        await S3Async("PUT", "/bucket");
        var upload = (await S3Async("POST", "/bucket/big?uploads", [])).Value("UploadId");
        var etag = (await S3Async("PUT", $"/bucket/big?partNumber=1&uploadId={upload}", Bytes(10)))["ETag"]!;
        await S3Async("PUT", $"/bucket/big?partNumber=2&uploadId={upload}", Bytes(10));
        string Part(int number, string tag) => $"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>";
        Task<Reply> Complete(string parts) => S3Async("POST", $"/bucket/big?uploadId={upload}", Utf8($"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"));

        Assert.Equal("InvalidPart", (await Complete(Part(1, "\"00000000000000000000000000000000\""))).Is(400).Code);
        Assert.Equal("InvalidPart", (await Complete(Part(3, etag))).Is(400).Code);
        Assert.Equal("InvalidPartOrder", (await Complete(Part(2, etag) + Part(1, etag))).Is(400).Code);
        Assert.Equal("EntityTooSmall", (await Complete(Part(1, etag) + Part(2, etag))).Is(400).Code);
        Assert.Equal("MalformedXML", (await Complete("")).Is(400).Code);
        (await S3Async("DELETE", $"/bucket/big?uploadId={upload}")).Is(204);
        Assert.Equal("NoSuchUpload", (await Complete(Part(1, etag))).Is(404).Code);
    }

    [Theory]
    [InlineData("CRC32", "FULL_OBJECT")]
    [InlineData("CRC32C", "FULL_OBJECT")]
    [InlineData("CRC64NVME", "FULL_OBJECT")]
    [InlineData("SHA256", "COMPOSITE")]
    public async Task Checksums_of_parts_make_the_checksum_of_the_object(string algorithm, string type)
    {
        await S3Async("PUT", "/bucket");
        var (header, first, second) = ("x-amz-checksum-" + algorithm.ToLowerInvariant(), Bytes(PartBytes, 1), Bytes(12345, 2));
        var upload = (await S3Async("POST", "/bucket/big?uploads", [], null, ("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", type))).Is(200).Value("UploadId");
        var parts = new StringBuilder();
        foreach (var (number, content) in new[] { (1, first), (2, second) })
        {
            var put = (await S3Async("PUT", $"/bucket/big?partNumber={number}&uploadId={upload}", content, null, ("x-amz-sdk-checksum-algorithm", algorithm))).Is(200);
            parts.Append(CultureInfo.InvariantCulture, $"<Part><PartNumber>{number}</PartNumber><ETag>{put["ETag"]}</ETag><Checksum{algorithm}>{put[header]}</Checksum{algorithm}></Part>");
        }

        var done = (await S3Async("POST", $"/bucket/big?uploadId={upload}", Utf8($"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"))).Is(200);

        var expected = type == "FULL_OBJECT"
            ? (await S3Async("PUT", "/bucket/plain", [.. first, .. second], null, ("x-amz-sdk-checksum-algorithm", algorithm)))[header]
            : Convert.ToBase64String(SHA256.HashData([.. SHA256.HashData(first), .. SHA256.HashData(second)])) + "-2";
        Assert.Equal((expected, type), (done.Value("Checksum" + algorithm), done.Value("ChecksumType")));
        var attributes = (await S3Async("GET", "/bucket/big?attributes", null, null, ("x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize"))).Is(200);
        Assert.Equal(((PartBytes + 12345).ToString(CultureInfo.InvariantCulture), "2"), (attributes.Value("ObjectSize"), attributes.Value("PartsCount")));
        Assert.Equal(expected, attributes.Value("Checksum" + algorithm));
    }

    [Fact]
    public async Task A_part_can_be_copied_from_a_range()
    {
        await S3Async("PUT", "/bucket");
        var source = Bytes(1000);
        await S3Async("PUT", "/bucket/source", source);
        var upload = (await S3Async("POST", "/bucket/big?uploads", [])).Value("UploadId");

        var part = (await S3Async("PUT", $"/bucket/big?partNumber=1&uploadId={upload}", null, null, ("x-amz-copy-source", "/bucket/source"), ("x-amz-copy-source-range", "bytes=100-199"))).Is(200);
        (await S3Async("POST", $"/bucket/big?uploadId={upload}", Utf8($"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.Value("ETag")}</ETag></Part></CompleteMultipartUpload>"))).Is(200);

        Assert.Equal(source[100..200], (await S3Async("GET", "/bucket/big")).Body);
        (await S3Async("PUT", $"/bucket/big?partNumber=1&uploadId={upload}", null, null, ("x-amz-copy-source", "/bucket/source"), ("x-amz-copy-source-range", "bytes=x"))).Is(404);
    }

    [Fact]
    public async Task Versions_are_kept_listed_and_removed_one_by_one()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/key", Utf8("null version"));
        (await S3Async("PUT", "/bucket?versioning", Utf8("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"))).Is(200);
        var one = (await S3Async("PUT", "/bucket/key", Utf8("one")))["x-amz-version-id"]!;
        var two = (await S3Async("PUT", "/bucket/key", Utf8("two")))["x-amz-version-id"]!;

        var marker = (await S3Async("DELETE", "/bucket/key")).Is(204);
        var gone = (await S3Async("GET", "/bucket/key")).Is(404);
        var listed = (await S3Async("GET", "/bucket?versions")).Is(200);

        Assert.Equal(("true", "true"), (marker["x-amz-delete-marker"], gone["x-amz-delete-marker"]));
        Assert.Equal([marker["x-amz-version-id"]!, two, one, "null"], listed.Values("VersionId"));
        Assert.Equal(["true", "false", "false", "false"], listed.Values("IsLatest"));
        Assert.Equal("one", (await S3Async("GET", $"/bucket/key?versionId={one}")).Is(200).Text);
        Assert.Equal("null version", (await S3Async("GET", "/bucket/key?versionId=null")).Is(200).Text);
        (await S3Async("GET", $"/bucket/key?versionId={marker["x-amz-version-id"]}")).Is(405);
        (await S3Async("DELETE", $"/bucket/key?versionId={marker["x-amz-version-id"]}")).Is(204);
        Assert.Equal("two", (await S3Async("GET", "/bucket/key")).Is(200).Text);
        (await S3Async("DELETE", $"/bucket/key?versionId={two}")).Is(204);
        Assert.Equal("one", (await S3Async("GET", "/bucket/key")).Is(200).Text);
        (await S3Async("GET", "/bucket/key?versionId=nonsense")).Is(400);
        var page = (await S3Async("GET", "/bucket?max-keys=1&versions")).Is(200);
        var next = (await S3Async("GET", $"/bucket?key-marker=key&version-id-marker={page.Value("NextVersionIdMarker")}&versions")).Is(200);
        Assert.Equal(["null"], next.Values("VersionId"));
    }

    [Fact]
    public async Task The_faces_show_the_same_versions()
    {
        (await SwiftAsync("PUT", "/box", null, null, ("X-Versions-Enabled", "true"))).Is(201);
        var one = (await SwiftAsync("PUT", "/box/key", Utf8("one"))).Is(201)["X-Object-Version-Id"]!;
        await S3Async("PUT", "/box/key", Utf8("two"));
        (await SwiftAsync("DELETE", "/box/key")).Is(204);

        Assert.Equal("Enabled", (await S3Async("GET", "/box?versioning")).Value("Status"));
        Assert.Equal(3, (await SwiftAsync("GET", "/box?format=json&versions")).Is(200).Array.Count);
        Assert.Equal("one", (await SwiftAsync("GET", $"/box/key?version-id={one}")).Is(200).Text);
        Assert.Equal("one", (await S3Async("GET", $"/box/key?versionId={one}")).Is(200).Text);
        (await SwiftAsync("DELETE", $"/box/key?version-id={one}")).Is(204);
        (await SwiftAsync("GET", $"/box/key?version-id={one}")).Is(404);
        (await SwiftAsync("GET", "/box/key")).Is(404);
    }

    [Fact]
    public async Task Tags_of_objects_and_buckets_are_kept_and_bounded()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/key", Utf8("x"), null, ("x-amz-tagging", "color=dark%20red&empty="));
        static byte[] Tagging(int count) => Utf8($"<Tagging><TagSet>{string.Concat(Enumerable.Range(0, count).Select(index => $"<Tag><Key>k{index}</Key><Value>v</Value></Tag>"))}</TagSet></Tagging>");

        Assert.Equal(["color", "empty"], (await S3Async("GET", "/bucket/key?tagging")).Is(200).Values("Key"));
        Assert.Equal("dark red", (await S3Async("GET", "/bucket/key?tagging")).Value("Value"));
        (await S3Async("PUT", "/bucket/key?tagging", Tagging(3))).Is(200);
        Assert.Equal("3", (await S3Async("HEAD", "/bucket/key"))["x-amz-tagging-count"]);
        (await S3Async("PUT", "/bucket/key?tagging", Tagging(11))).Is(400);
        (await S3Async("DELETE", "/bucket/key?tagging")).Is(204);
        Assert.Empty((await S3Async("GET", "/bucket/key?tagging")).Values("Key"));
        Assert.Equal("NoSuchTagSet", (await S3Async("GET", "/bucket?tagging")).Is(404).Code);
        (await S3Async("PUT", "/bucket?tagging", Tagging(20))).Is(204);
        Assert.Equal(20, (await S3Async("GET", "/bucket?tagging")).Values("Key").Count);
    }

    [Fact]
    public async Task Strangers_get_in_by_acl_and_policy_only()
    {
        var bucket = "shared-" + Project[..12];
        await S3Async("PUT", "/" + bucket);
        await S3Async("PUT", $"/{bucket}/private", Utf8("private"));
        await S3Async("PUT", $"/{bucket}/public", Utf8("public"), null, ("x-amz-acl", "public-read"));

        (await S3Async("GET", $"/{bucket}/private", null, Stranger)).Is(403);
        (await S3Async("GET", $"/{bucket}/private", null, "")).Is(403);
        (await S3Async("GET", $"/{bucket}", null, Stranger)).Is(403);
        (await S3Async("PUT", $"/{bucket}/new", Utf8("x"), Stranger)).Is(403);
        (await S3Async("PUT", $"/{bucket}/new", Utf8("x"), Reader)).Is(403);
        Assert.Equal("private", (await S3Async("GET", $"/{bucket}/private", null, Reader)).Is(200).Text);
        Assert.Equal("public", (await S3Async("GET", $"/{bucket}/public", null, "")).Is(200).Text);

        var stranger = Stranger.Split(':')[1];
        var policy = $$"""
            {"Version":"2012-10-17","Statement":[
              {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::{{stranger}}:root"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::{{bucket}}/*"},
              {"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::{{bucket}}","Condition":{"StringLike":{"s3:prefix":"pub*"},"IpAddress":{"aws:SourceIp":"127.0.0.0/8"} } },
              {"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::{{bucket}}/forbidden/*"}]}
            """;
        (await S3Async("PUT", $"/{bucket}?policy", Utf8(policy), Stranger)).Is(403);
        (await S3Async("PUT", $"/{bucket}?policy", Utf8(policy))).Is(204);

        Assert.Equal("private", (await S3Async("GET", $"/{bucket}/private", null, Stranger)).Is(200).Text);
        (await S3Async("PUT", $"/{bucket}/new", Utf8("x"), Stranger)).Is(200);
        (await S3Async("DELETE", $"/{bucket}/new", null, Stranger)).Is(403);
        (await S3Async("GET", $"/{bucket}/private", null, "")).Is(403);
        (await S3Async("GET", $"/{bucket}?prefix=other", null, Stranger)).Is(403);
        Assert.Equal(["public"], (await S3Async("GET", $"/{bucket}?prefix=pub", null, "")).Is(200).Values("Key"));
        (await S3Async("PUT", $"/{bucket}/forbidden/x", Utf8("x"))).Is(403);
        (await S3Async("DELETE", $"/{bucket}?policy")).Is(204);
        (await S3Async("GET", $"/{bucket}/private", null, Stranger)).Is(403);

        (await S3Async("PUT", $"/{bucket}?publicAccessBlock", Utf8("<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>"))).Is(200);
        (await S3Async("GET", $"/{bucket}/public", null, "")).Is(403);
        (await S3Async("PUT", $"/{bucket}/other", Utf8("x"), null, ("x-amz-acl", "public-read"))).Is(403);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"Statement\":[]}")]
    [InlineData("{\"Statement\":[{\"Effect\":\"Maybe\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::bucket\"}]}")]
    [InlineData("{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::other/*\"}]}")]
    [InlineData("{\"Statement\":[{\"Effect\":\"Allow\",\"NotPrincipal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::bucket\"}]}")]
    [InlineData("{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::bucket\",\"Condition\":{\"Guess\":{\"a\":\"b\"}}}]}")]
    [InlineData("{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::bucket\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"x\"}}}]}")]
    public async Task A_policy_that_is_not_understood_whole_is_refused(string policy)
    {
        await S3Async("PUT", "/bucket");

        Assert.Equal("MalformedPolicy", (await S3Async("PUT", "/bucket?policy", Utf8(policy))).Is(400).Code);
    }

    [Fact]
    public async Task A_locked_version_cannot_be_removed_before_its_time()
    {
        (await S3Async("PUT", "/bucket", null, null, ("x-amz-bucket-object-lock-enabled", "true"))).Is(200);
        var until = Cloud.Time.GetUtcNow().AddDays(1).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        var governed = (await S3Async("PUT", "/bucket/key", Utf8("x"), null, ("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-object-lock-retain-until-date", until))).Is(200)["x-amz-version-id"];
        var complied = (await S3Async("PUT", "/bucket/key", Utf8("y"), null, ("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", until))).Is(200)["x-amz-version-id"];
        var held = (await S3Async("PUT", "/bucket/held", Utf8("z"), null, ("x-amz-object-lock-legal-hold", "ON"))).Is(200)["x-amz-version-id"];

        (await S3Async("DELETE", $"/bucket/key?versionId={governed}")).Is(403);
        (await S3Async("DELETE", $"/bucket/key?versionId={complied}", null, null, ("x-amz-bypass-governance-retention", "true"))).Is(403);
        (await SwiftAsync("DELETE", $"/bucket/key?version-id={complied}")).Is(403);
        (await S3Async("DELETE", $"/bucket/held?versionId={held}", null, null, ("x-amz-bypass-governance-retention", "true"))).Is(403);
        (await S3Async("PUT", $"/bucket/key?retention&versionId={complied}", Utf8("<Retention/>"))).Is(403);
        Assert.Equal("InvalidBucketState", (await S3Async("PUT", "/bucket?versioning", Utf8("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"))).Is(409).Code);
        Assert.Equal("COMPLIANCE", (await S3Async("GET", $"/bucket/key?retention&versionId={complied}")).Is(200).Value("Mode"));

        (await S3Async("DELETE", $"/bucket/key?versionId={governed}", null, null, ("x-amz-bypass-governance-retention", "true"))).Is(204);
        (await S3Async("PUT", $"/bucket/held?legal-hold&versionId={held}", Utf8("<LegalHold><Status>OFF</Status></LegalHold>"))).Is(200);
        (await S3Async("DELETE", $"/bucket/held?versionId={held}")).Is(204);
        (await S3Async("DELETE", "/bucket/key")).Is(204);
        Assert.Equal("InvalidRequest", (await S3Async("PUT", "/plain")).Is(200) is not null ? (await S3Async("PUT", "/plain/k", Utf8("x"), null, ("x-amz-object-lock-legal-hold", "ON"))).Is(400).Code : "");
    }

    [Fact]
    public async Task Scripts_of_allowed_origins_get_their_headers()
    {
        var bucket = "cors-" + Project[..12];
        await S3Async("PUT", "/" + bucket);
        (await S3Async("PUT", $"/{bucket}?cors", Utf8("<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>"))).Is(200);
        (string, string)[] ask = [("Origin", "https://app.example.org"), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "Content-Type, x-amz-date")];

        var preflight = (await S3Async("OPTIONS", $"/{bucket}/key", null, "", ask)).Is(200);
        var refused = (await S3Async("OPTIONS", $"/{bucket}/key", null, "", ("Origin", "https://evil.test"), ("Access-Control-Request-Method", "PUT"))).Is(403);
        var actual = await S3Async("GET", $"/{bucket}/none", null, null, ("Origin", "https://app.example.org"));

        Assert.Equal(("https://app.example.org", "content-type, x-amz-date", "60"), (preflight["Access-Control-Allow-Origin"], preflight["Access-Control-Allow-Headers"], preflight["Access-Control-Max-Age"]));
        Assert.Null(refused["Access-Control-Allow-Origin"]);
        Assert.Equal("https://app.example.org", actual.Is(404)["Access-Control-Allow-Origin"]);
        Assert.Equal(["https://*.example.org"], (await S3Async("GET", $"/{bucket}?cors")).Values("AllowedOrigin"));
        (await S3Async("PUT", $"/{bucket}?cors", Utf8("<CORSConfiguration/>"))).Is(400);
    }

    [Fact]
    public async Task A_browser_form_uploads_what_its_policy_allows()
    {
        var bucket = "form-" + Project[..12];
        await S3Async("PUT", "/" + bucket);

        var stored = await FormAsync(bucket, "inbox/${filename}", "hello", max: 10);
        (await FormAsync(bucket, "inbox/${filename}", "much more than ten", max: 10)).Is(400);
        (await FormAsync(bucket, "elsewhere/${filename}", "hello", max: 10)).Is(403);
        (await FormAsync(bucket, "inbox/x", "hello", max: 10, extra: ("x-amz-meta-unforeseen", "1"))).Is(403);
        (await FormAsync(bucket, "inbox/x", "hello", max: 10, forge: true)).Is(403);

        Assert.Equal($"inbox/report.txt", stored.Is(201).Value("Key"));
        Assert.Equal("hello", (await S3Async("GET", $"/{bucket}/inbox/report.txt")).Is(200).Text);
        Assert.Single((await S3Async("GET", "/" + bucket)).Values("Key"));
    }

    [Fact]
    public async Task Subresources_that_are_not_there_say_so()
    {
        await S3Async("PUT", "/bucket");

        Assert.Equal("NoSuchWebsiteConfiguration", (await S3Async("GET", "/bucket?website")).Is(404).Code);
        (await S3Async("PUT", "/bucket?website", Utf8("<WebsiteConfiguration/>"))).Is(501);
        (await S3Async("PUT", "/bucket?notification", Utf8("<NotificationConfiguration/>"))).Is(501);
        (await S3Async("PUT", "/bucket?logging", Utf8("<BucketLoggingStatus/>"))).Is(501);
        (await S3Async("PUT", "/bucket?replication", Utf8("<ReplicationConfiguration/>"))).Is(501);
        (await S3Async("PUT", "/bucket/key?restore", Utf8("<x/>"))).Is(501);
        Assert.Equal("ServerSideEncryptionConfigurationNotFoundError", (await S3Async("GET", "/bucket?encryption")).Is(404).Code);
        Assert.Equal("NoSuchCORSConfiguration", (await S3Async("GET", "/bucket?cors")).Is(404).Code);
        Assert.Equal("NoSuchBucketPolicy", (await S3Async("GET", "/bucket?policy")).Is(404).Code);
    }

    private async Task<Reply> FormAsync(string bucket, string key, string content, long max, (string Name, string Value)? extra = null, bool forge = false)
    {
        var accessKey = Member.Replace(':', '.');
        var now = Cloud.Time.GetUtcNow().UtcDateTime;
        var (date, time) = (now.ToString("yyyyMMdd", CultureInfo.InvariantCulture), now.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture));
        var credential = $"{accessKey}/{date}/{Region}/s3/aws4_request";
        var policy = Convert.ToBase64String(Utf8($$"""
            {"expiration":"{{now.AddMinutes(5):yyyy-MM-dd'T'HH:mm:ss'Z'}}","conditions":[{"bucket":"{{bucket}}"},["starts-with","$key","inbox/"],["content-length-range",1,{{max}}],
            {"x-amz-algorithm":"AWS4-HMAC-SHA256"},{"x-amz-credential":"{{credential}}"},{"x-amz-date":"{{time}}"},{"success_action_status":"201"}]}
            """));
        var signature = AwsSignature.Hmac(AwsSignature.SigningKey(ObjectCloud.SecretOf(forge ? "other" : accessKey), date, Region, "s3"), policy);
        List<(string Name, string Value)> fields =
        [
            ("key", key), ("policy", policy), ("x-amz-algorithm", "AWS4-HMAC-SHA256"), ("x-amz-credential", credential), ("x-amz-date", time),
            ("x-amz-signature", signature), ("success_action_status", "201"),
        ];
        if (extra is { } more)
        {
            fields.Add(more);
        }
        var body = string.Concat(fields.Select(field => $"--b\r\nContent-Disposition: form-data; name=\"{field.Name}\"\r\n\r\n{field.Value}\r\n")) +
            $"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"report.txt\"\r\nContent-Type: text/plain\r\n\r\n{content}\r\n--b--\r\n";
        return await SendAsync("POST", "/" + bucket, Utf8(body), "s3.localhost", [("Content-Type", "multipart/form-data; boundary=b")]);
    }
}
