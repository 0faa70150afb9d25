using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>Objects and buckets through S3, as a client sees them.</summary>
public sealed class S3ObjectTests(ObjectCloud cloud) : ObjectTests(cloud)
{
    [Fact]
    public async Task What_is_put_comes_back_with_its_metadata()
    {
        (await S3Async("PUT", "/bucket")).Is(200);
        var content = Bytes(300_000);

        var put = (await S3Async("PUT", "/bucket/a%20b/c", content, null, ("Content-Type", "text/x"), ("x-amz-meta-Color", "red"), ("Cache-Control", "no-store"))).Is(200);
        var got = (await S3Async("GET", "/bucket/a%20b/c")).Is(200);
        var head = (await S3Async("HEAD", "/bucket/a%20b/c")).Is(200);

        Assert.Equal($"\"{Md5(content)}\"", put["ETag"]);
        Assert.Equal(content, got.Body);
        Assert.Equal(("text/x", "red", "no-store", put["ETag"]), (got["Content-Type"], got["x-amz-meta-color"], got["Cache-Control"], got["ETag"]));
        Assert.Equal(("300000", put["ETag"], 0), (head["Content-Length"], head["ETag"], head.Body.Length));
    }

    [Theory]
    [InlineData("bytes=0-9", 206, 0, 10)]
    [InlineData("bytes=90-", 206, 90, 10)]
    [InlineData("bytes=-5", 206, 95, 5)]
    [InlineData("bytes=95-1000", 206, 95, 5)]
    [InlineData("lines=1-2", 200, 0, 100)]
    public async Task Ranges_are_answered(string range, int status, int offset, int length)
    {
        await S3Async("PUT", "/bucket");
        var content = Bytes(100);
        await S3Async("PUT", "/bucket/key", content);

        var got = (await S3Async("GET", "/bucket/key", null, null, ("Range", range))).Is(status);

        Assert.Equal(content[offset..(offset + length)], got.Body);
        Assert.Equal(status == 206 ? $"bytes {offset}-{offset + length - 1}/100" : null, got["Content-Range"]);
    }

    [Fact]
    public async Task Several_ranges_come_in_parts()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/key", Utf8("0123456789"), null, ("Content-Type", "text/x"));

        var got = (await S3Async("GET", "/bucket/key", null, null, ("Range", "bytes=0-1,-2,50-"))).Is(206);

        var boundary = got["Content-Type"]!.Split("boundary=")[1];
        Assert.Equal($"--{boundary}\r\nContent-Type: text/x\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--{boundary}\r\nContent-Type: text/x\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--{boundary}--", got.Text);
        Assert.Equal(got.Body.Length.ToString(CultureInfo.InvariantCulture), got["Content-Length"]);
    }

    [Fact]
    public async Task Headers_of_the_answer_can_be_chosen_by_whoever_signs()
    {
        await S3Async("PUT", "/bucket", null, null, ("x-amz-acl", "public-read"));
        await S3Async("PUT", "/bucket/key", Utf8("x"), null, ("x-amz-acl", "public-read"));

        var got = (await S3Async("GET", "/bucket/key?response-cache-control=no-store&response-content-type=text%2Fx")).Is(200);
        Assert.Equal(("no-store", "text/x"), (got["Cache-Control"], got["Content-Type"]));
        (await S3Async("GET", "/bucket/key?response-content-type=a%0D%0AX-Evil%3A%201")).Is(400);
        (await S3Async("GET", $"/{Project}%3Abucket/key?response-content-type=text%2Fx", null, "")).Is(400);
        (await S3Async("GET", "/bucket/key?partNumber=1", null, null, ("Range", "bytes=0-0"))).Is(400);
    }

    [Fact]
    public async Task A_range_beyond_the_end_cannot_be_satisfied()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/key", Bytes(100));

        var got = (await S3Async("GET", "/bucket/key", null, null, ("Range", "bytes=100-"))).Is(416);

        Assert.Equal(("InvalidRange", "bytes */100"), (got.Code, got["Content-Range"]));
    }

    [Fact]
    public async Task Conditions_of_reads_and_writes_hold()
    {
        await S3Async("PUT", "/bucket");
        var etag = (await S3Async("PUT", "/bucket/key", Utf8("one"), null, ("If-None-Match", "*")))["ETag"]!;

        (await S3Async("PUT", "/bucket/key", Utf8("two"), null, ("If-None-Match", "*"))).Is(412);
        (await S3Async("PUT", "/bucket/key", Utf8("two"), null, ("If-Match", "\"other\""))).Is(412);
        (await S3Async("GET", "/bucket/key", null, null, ("If-None-Match", etag))).Is(304);
        (await S3Async("GET", "/bucket/key", null, null, ("If-Match", "\"other\""))).Is(412);
        (await S3Async("DELETE", "/bucket/key", null, null, ("If-Match", "\"other\""))).Is(412);
        (await S3Async("PUT", "/bucket/copy", null, null, ("x-amz-copy-source", "/bucket/key"), ("x-amz-copy-source-if-match", "\"other\""))).Is(412);
        (await S3Async("PUT", "/bucket/key", Utf8("two"), null, ("If-Match", etag))).Is(200);
        Assert.Equal("two", (await S3Async("GET", "/bucket/key")).Is(200).Text);
    }

    [Fact]
    public async Task A_wrong_digest_or_length_leaves_nothing_behind()
    {
        await S3Async("PUT", "/bucket");
        var wrong = Convert.ToBase64String(new byte[16]);

        Assert.Equal("BadDigest", (await S3Async("PUT", "/bucket/key", Utf8("one"), null, ("Content-MD5", wrong))).Is(400).Code);
        Assert.Equal("InvalidDigest", (await S3Async("PUT", "/bucket/key", Utf8("one"), null, ("Content-MD5", "x"))).Is(400).Code);
        Assert.Equal("BadDigest", (await S3Async("PUT", "/bucket/key", Utf8("one"), null, ("x-amz-checksum-crc32", "AAAAAA=="))).Is(400).Code);
        var signed = Sign("PUT", "/bucket/key", Member, [], AwsSignature.Hex("another body"));
        Assert.Equal("XAmzContentSHA256Mismatch", (await SendAsync("PUT", "/bucket/key", Utf8("one"), "s3.localhost", signed.Headers)).Is(400).Code);
        (await S3Async("GET", "/bucket/key")).Is(404);
    }

    [Theory]
    [InlineData("crc32", "y/Q5Jg==")]
    [InlineData("crc32c", "4waSgw==")]
    [InlineData("crc64nvme", "rosUhgp5mIg=")]
    [InlineData("sha1", "98O8HYCOBHMq32eZZczDTKeuNEE=")]
    [InlineData("sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=")]
    public async Task Checksums_are_computed_checked_and_given_back(string name, string value)
    {
        await S3Async("PUT", "/bucket");

        var put = (await S3Async("PUT", "/bucket/key", Utf8("123456789"), null, ("x-amz-sdk-checksum-algorithm", name.ToUpperInvariant()))).Is(200);
        var got = (await S3Async("GET", "/bucket/key", null, null, ("x-amz-checksum-mode", "ENABLED"))).Is(200);

        Assert.Equal(value, put["x-amz-checksum-" + name]);
        Assert.Equal((value, "FULL_OBJECT"), (got["x-amz-checksum-" + name], got["x-amz-checksum-type"]));
        (await S3Async("PUT", "/bucket/key", Utf8("123456789"), null, ("x-amz-checksum-" + name, value))).Is(200);
    }

    [Fact]
    public async Task Unsigned_chunks_with_a_trailer_are_unframed_and_checked()
    {
        await S3Async("PUT", "/bucket");
        (string, string)[] headers = [("x-amz-decoded-content-length", "9"), ("x-amz-trailer", "x-amz-checksum-crc32"), ("Content-Encoding", "aws-chunked,gzip")];
        var signed = Sign("PUT", "/bucket/key", Member, headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");

        var put = await SendAsync("PUT", "/bucket/key", Utf8("4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"), "s3.localhost", signed.Headers);
        var bad = await SendAsync("PUT", "/bucket/bad", Utf8("9\r\n12345678x\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"), "s3.localhost", Sign("PUT", "/bucket/bad", Member, headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER").Headers);
        var cut = await SendAsync("PUT", "/bucket/cut", Utf8("4\r\n1234\r\n5\r\n56"), "s3.localhost", Sign("PUT", "/bucket/cut", Member, headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER").Headers);
        var shorter = await SendAsync("PUT", "/bucket/short", Utf8("4\r\n1234\r\n0\r\n\r\n"), "s3.localhost", Sign("PUT", "/bucket/short", Member, headers, "STREAMING-UNSIGNED-PAYLOAD-TRAILER").Headers);

        put.Is(200);
        var got = (await S3Async("GET", "/bucket/key")).Is(200);
        Assert.Equal(("123456789", "gzip"), (got.Text, got["Content-Encoding"]));
        Assert.Equal("BadDigest", bad.Is(400).Code);
        Assert.Equal("IncompleteBody", cut.Is(400).Code);
        Assert.Equal("IncompleteBody", shorter.Is(400).Code);
        Assert.Equal(["key"], (await S3Async("GET", "/bucket")).Values("Key"));
    }

    [Fact]
    public async Task Signed_chunks_are_held_against_the_chain_of_signatures()
    {
        await S3Async("PUT", "/bucket");
        (string, string)[] headers = [("x-amz-decoded-content-length", "6")];

        (await SendAsync("PUT", "/bucket/key", Chunked("/bucket/key", headers, out var signed, "abc", "def"), "s3.localhost", signed)).Is(200);
        var body = Chunked("/bucket/forged", headers, out var forged, "abc", "def");
        body[body.AsSpan().IndexOf("def"u8)] = (byte)'x';
        var refused = await SendAsync("PUT", "/bucket/forged", body, "s3.localhost", forged);

        Assert.Equal("abcdef", (await S3Async("GET", "/bucket/key")).Text);
        Assert.Equal("SignatureDoesNotMatch", refused.Is(403).Code);
        (await S3Async("GET", "/bucket/forged")).Is(404);
    }

    [Fact]
    public async Task A_presigned_url_allows_what_was_signed_for_its_time()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/key", Utf8("secret"));
        var get = Presign("GET", "/bucket/key?response-content-type=text%2Fcsv", Member);

        var got = (await SendAsync("GET", get, null, "s3.localhost", [])).Is(200);
        (await SendAsync("PUT", Presign("PUT", "/bucket/new", Member), Utf8("new"), "s3.localhost", [])).Is(200);

        Assert.Equal(("secret", "text/csv"), (got.Text, got["Content-Type"]));
        Assert.Equal("SignatureDoesNotMatch", (await SendAsync("PUT", get, Utf8("x"), "s3.localhost", [])).Is(403).Code);
        Assert.Equal("SignatureDoesNotMatch", (await SendAsync("GET", get.Replace("/key?", "/other?", StringComparison.Ordinal), null, "s3.localhost", [])).Is(403).Code);
        Assert.Equal("AccessDenied", (await SendAsync("PUT", Presign("PUT", "/bucket/copy", Member), [], "s3.localhost", [("x-amz-copy-source", "/bucket/key")])).Is(403).Code);
        (await SendAsync("GET", get, null, "s3.localhost", [])).Is(200);
    }

    [Fact]
    public async Task Copies_keep_or_replace_metadata_and_stand_alone()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/from", Bytes(5000), null, ("x-amz-meta-a", "1"), ("Content-Type", "text/x"), ("x-amz-tagging", "k=v"));

        var copy = (await S3Async("PUT", "/bucket/to", null, null, ("x-amz-copy-source", "/bucket/from"))).Is(200);
        (await S3Async("PUT", "/bucket/changed", null, null, ("x-amz-copy-source", "bucket/from"), ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2"))).Is(200);
        Assert.Equal("InvalidRequest", (await S3Async("PUT", "/bucket/from", null, null, ("x-amz-copy-source", "/bucket/from"))).Is(400).Code);
        await S3Async("DELETE", "/bucket/from");

        var to = (await S3Async("GET", "/bucket/to")).Is(200);
        var changed = (await S3Async("HEAD", "/bucket/changed")).Is(200);
        Assert.Equal($"\"{Md5(Bytes(5000))}\"", copy.Value("ETag"));
        Assert.Equal(("1", "text/x", "1"), (to["x-amz-meta-a"], to["Content-Type"], to["x-amz-tagging-count"]));
        Assert.Equal(Bytes(5000), to.Body);
        Assert.Equal((null, "2"), (changed["x-amz-meta-a"], changed["x-amz-meta-b"]));
    }

    [Fact]
    public async Task Batch_delete_answers_for_each_key_and_bounds_its_document()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/a", Utf8("a"));
        await S3Async("PUT", "/bucket/b%26c", Utf8("b"));

        var answer = (await S3Async("POST", "/bucket?delete", Utf8("<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object><Object><Key>none</Key></Object></Delete>"))).Is(200);
        var many = new StringBuilder("<Delete>").Insert(8, "<Object><Key>k</Key></Object>", 1001).Append("</Delete>");

        Assert.Equal(["a", "b&c", "none"], answer.Values("Key"));
        Assert.Empty((await S3Async("GET", "/bucket")).Values("Key"));
        Assert.Equal("MalformedXML", (await S3Async("POST", "/bucket?delete", Utf8(many.ToString()))).Is(400).Code);
        Assert.Equal("MaxMessageLengthExceeded", (await S3Async("POST", "/bucket?delete", new byte[3 << 20])).Is(400).Code);
        Assert.Equal("MalformedXML", (await S3Async("POST", "/bucket?delete", Utf8("<!DOCTYPE d [<!ENTITY x \"y\">]><Delete><Object><Key>&x;</Key></Object></Delete>"))).Is(400).Code);
    }

    [Fact]
    public async Task Pages_of_both_lists_follow_each_other()
    {
        await S3Async("PUT", "/bucket");
        string[] keys = ["a/1", "a/2", "b", "c/1", "d", "é", "z"];
        foreach (var key in keys)
        {
            await S3Async("PUT", "/bucket/" + Uri.EscapeDataString(key).Replace("%2F", "/", StringComparison.Ordinal), Utf8(key));
        }

        var first = (await S3Async("GET", "/bucket?list-type=2&max-keys=3")).Is(200);
        var second = (await S3Async("GET", $"/bucket?continuation-token={Uri.EscapeDataString(first.Value("NextContinuationToken"))}&list-type=2")).Is(200);
        var folded = (await S3Async("GET", "/bucket?delimiter=%2F&list-type=2&max-keys=2")).Is(200);
        var old = (await S3Async("GET", "/bucket?marker=b&prefix=")).Is(200);
        var encoded = (await S3Async("GET", "/bucket?encoding-type=url&list-type=2&start-after=d")).Is(200);

        Assert.Equal(["a/1", "a/2", "b"], first.Values("Key"));
        Assert.Equal(("true", "3"), (first.Value("IsTruncated"), first.Value("KeyCount")));
        Assert.Equal(["c/1", "d", "z", "é"], second.Values("Key"));
        Assert.Equal(["b"], folded.Values("Key"));
        Assert.Contains("a/", folded.Values("Prefix"));
        Assert.Equal(["c/1", "d", "z", "é"], old.Values("Key"));
        Assert.Equal(["z", "%C3%A9"], encoded.Values("Key"));
        Assert.Equal("0", (await S3Async("GET", "/bucket?list-type=2&max-keys=0")).Is(200).Value("KeyCount"));
        (await S3Async("GET", "/bucket?max-keys=x")).Is(400);
    }

    [Theory]
    [InlineData("..%2F..%2Fother%2Fkey", "../../other/key")]
    [InlineData("a%2F%2Fb", "a//b")]
    [InlineData(".", ".")]
    [InlineData("%26lt%3B%3Ctag%3E%22", "&lt;<tag>\"")]
    [InlineData("null%0Aline%09tab", "null\nline\ttab")]
    [InlineData("%E2%80%AE%F0%9F%98%80", "\u202e\U0001F600")]
    public async Task Tricks_in_names_stay_names(string raw, string name)
    {
        await S3Async("PUT", "/bucket");

        (await S3Async("PUT", "/bucket/" + raw.Replace("%2F", "/", StringComparison.Ordinal), Utf8(name))).Is(200);

        Assert.Equal(name, (await S3Async("GET", "/bucket/" + raw.Replace("%2F", "/", StringComparison.Ordinal))).Is(200).Text);
        Assert.Equal([name], (await S3Async("GET", "/bucket")).Values("Key"));
        Assert.Equal(name, (await SwiftAsync("GET", "/bucket?format=json")).Array[0]!["name"]!.GetValue<string>());
    }

    [Fact]
    public async Task A_key_that_is_too_long_or_no_text_is_refused()
    {
        await S3Async("PUT", "/bucket");

        (await S3Async("PUT", "/bucket/" + new string('k', 1024), Utf8("x"))).Is(200);
        (await S3Async("PUT", "/bucket/" + new string('k', 1025), Utf8("x"))).Is(400);
        (await S3Async("PUT", "/bucket/%FF%FE", Utf8("x"))).Is(400);
        (await S3Async("PUT", "/Bucket_With_Capitals")).Is(400);
        (await S3Async("PUT", "/ab")).Is(400);
        (await S3Async("PUT", "/bucket/key", Utf8("x"), null, ("x-amz-meta-a", new string('v', 3000)))).Is(400);
        (await S3Async("PUT", "/bucket/key", Utf8("x"), null, ("x-amz-server-side-encryption", "AES256"))).Is(501);
    }

    [Fact]
    public async Task An_upload_that_is_cut_off_leaves_nothing()
    {
        await S3Async("PUT", "/bucket");
        var signed = Sign("PUT", "/bucket/key", Member, [], AwsSignature.Unsigned);
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(Cloud.Address);
            var head = $"PUT /bucket/key HTTP/1.1\r\nHost: s3.localhost\r\nContent-Length: 100000\r\n{string.Concat(signed.Headers.Select(header => $"{header.Name}: {header.Value}\r\n"))}\r\nonly the beginning";
            var stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head));
            client.Client.Shutdown(SocketShutdown.Send);
            var answer = new byte[4096];
            try
            {
                while (await stream.ReadAsync(answer) > 0)
                {
                }
            }
            catch (IOException)
            {
                // The server may reset the connection instead of closing it.
            }
        }

        (await S3Async("GET", "/bucket/key")).Is(404);
    }

    [Fact]
    public async Task Virtual_host_style_names_the_bucket_in_the_host()
    {
        await S3Async("PUT", "/bucket");
        await S3Async("PUT", "/bucket/key", Utf8("content"));

        var got = await SendAsync("GET", "/key", null, "bucket.s3.localhost", Sign("GET", "/key", Member, [], AwsSignature.Hex(""), "bucket.s3.localhost").Headers);

        Assert.Equal("content", got.Is(200).Text);
    }

    [Fact]
    public async Task A_bucket_of_another_owner_than_the_expected_one_is_not_touched()
    {
        await S3Async("PUT", "/bucket");

        (await S3Async("PUT", "/bucket/key", Utf8("x"), null, ("x-amz-expected-bucket-owner", Project))).Is(200);
        (await S3Async("PUT", "/bucket/key", Utf8("y"), null, ("x-amz-expected-bucket-owner", "somebody"))).Is(403);
        (await S3Async("PUT", "/bucket/copy", null, null, ("x-amz-copy-source", "/bucket/key"), ("x-amz-source-expected-bucket-owner", "somebody"))).Is(403);
        Assert.Equal("x", (await S3Async("GET", "/bucket/key")).Text);
    }

    [Fact]
    public async Task A_bucket_with_objects_stays_and_listing_shows_the_callers_only()
    {
        var bucket = "own-" + Project[..12];
        await S3Async("PUT", $"/{bucket}");
        await S3Async("PUT", $"/{bucket}/key", Utf8("x"));

        Assert.Equal("BucketNotEmpty", (await S3Async("DELETE", $"/{bucket}")).Is(409).Code);
        Assert.Equal([bucket], (await S3Async("GET", "/")).Values("Name"));
        Assert.Empty((await S3Async("GET", "/", null, Stranger)).Values("Name"));
        (await S3Async("DELETE", $"/{bucket}/key")).Is(204);
        (await S3Async("DELETE", $"/{bucket}/key")).Is(204);
        (await S3Async("DELETE", $"/{bucket}")).Is(204);
        Assert.Equal("NoSuchBucket", (await S3Async("GET", $"/{bucket}")).Is(404).Code);
    }

    private byte[] Chunked(string target, (string, string)[] headers, out List<(string Name, string Value)> signed, params string[] chunks)
    {
        var (all, signature, key, scope, time) = Sign("PUT", target, Member, headers, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
        signed = all;
        var body = new StringBuilder();
        foreach (var chunk in chunks.Append(""))
        {
            signature = AwsSignature.Hmac(key, $"AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{signature}\n{AwsSignature.Hex("")}\n{AwsSignature.Hex(chunk)}");
            body.Append(CultureInfo.InvariantCulture, $"{chunk.Length:x};chunk-signature={signature}\r\n{chunk}\r\n");
        }
        return Utf8(body.ToString());
    }
}
