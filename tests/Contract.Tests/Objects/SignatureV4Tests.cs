using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Nephos.ObjectStorage.S3;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>The examples that AWS publishes for Signature Version 4 with S3, and requests that try to get around it.</summary>
public sealed class SignatureV4Tests
{
    private const string Secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    private const string EmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    private static readonly DateTimeOffset Now = new(2013, 5, 24, 0, 0, 0, TimeSpan.Zero);
    private static readonly byte[] Key = AwsSignature.SigningKey(Secret, "20130524", "us-east-1", "s3");

    [Theory]
    [InlineData("GET", "/test.txt", EmptyHash, "host;range;x-amz-content-sha256;x-amz-date", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
    [InlineData("GET", "/?lifecycle", EmptyHash, "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [InlineData("GET", "/?max-keys=2&prefix=J", EmptyHash, "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    [InlineData("PUT", "/test%24file.text", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")]
    public void The_published_examples_verify(string method, string target, string payloadHash, string signedHeaders, string signature)
    {
        var request = Request(method, payloadHash, signedHeaders, signature);
        var parsed = S3Target.Parse(target, "examplebucket.s3.amazonaws.com", ["s3.amazonaws.com"]);

        var claim = SignatureV4.Read(request, parsed, Now)!;

        Assert.Equal(("AKIAIOSFODNN7EXAMPLE", "us-east-1"), (claim.AccessKey, claim.Region));
        Assert.Equal("examplebucket", parsed.Bucket);
        Assert.True(SignatureV4.Verify(claim, request, parsed, Key));
    }

    [Fact]
    public void One_changed_character_does_not_verify()
    {
        var request = Request("GET", EmptyHash, "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
        var other = S3Target.Parse("/?max-keys=2&prefix=K", "examplebucket.s3.amazonaws.com", ["s3.amazonaws.com"]);

        Assert.False(SignatureV4.Verify(SignatureV4.Read(request, other, Now)!, request, other, Key));
    }

    [Fact]
    public void The_published_presigned_example_verifies()
    {
        const string Target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        var request = new DefaultHttpContext().Request;
        request.Method = "GET";
        request.Headers.Host = "examplebucket.s3.amazonaws.com";
        var parsed = S3Target.Parse(Target, "examplebucket.s3.amazonaws.com", ["s3.amazonaws.com"]);

        Assert.True(SignatureV4.Verify(SignatureV4.Read(request, parsed, Now.AddHours(23))!, request, parsed, Key));
        Assert.Equal("AccessDenied", Assert.Throws<S3Fault>(() => SignatureV4.Read(request, parsed, Now.AddHours(25))).Code);
    }

    [Fact]
    public async Task The_published_chunked_upload_decodes()
    {
        var claim = Claim("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
        var body = new MemoryStream();
        Chunk(body, 65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
        Chunk(body, 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
        Chunk(body, 0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
        body.Position = 0;
        using var decoder = new AwsChunkedStream(body, claim, Key, hasTrailer: false);

        var bytes = await ReadAsync(decoder);

        Assert.Equal(66560, bytes.Length);
        Assert.All(bytes, value => Assert.Equal((byte)'a', value));
    }

    [Fact]
    public async Task The_published_chunked_upload_with_a_signed_trailer_decodes()
    {
        var claim = Claim("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
        var body = new MemoryStream();
        Chunk(body, 65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
        Chunk(body, 1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
        body.Write("0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"u8);
        body.Write("x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"u8);
        body.Position = 0;
        using var decoder = new AwsChunkedStream(body, claim, Key, hasTrailer: true);

        var bytes = await ReadAsync(decoder);

        Assert.Equal(66560, bytes.Length);
        Assert.Equal("sOO8/Q==", decoder.Trailers["x-amz-checksum-crc32c"]);
        using var checksum = S3Checksum.Create("crc32c")!;
        checksum.Append(bytes);
        Assert.Equal("sOO8/Q==", Convert.ToBase64String(checksum.Finish()));
    }

    [Theory]
    [InlineData("x-amz-copy-source", "other/key")]
    [InlineData("X-Amz-Acl", "public-read")]
    public void A_presigned_request_with_an_unsigned_amz_header_is_refused(string name, string value)
    {
        const string Target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        var request = new DefaultHttpContext().Request;
        request.Headers[name] = value;

        var fault = Assert.Throws<S3Fault>(() => SignatureV4.Read(request, S3Target.Parse(Target, "h", []), Now));

        Assert.Equal((403, "AccessDenied"), (fault.Status, fault.Code));
        Assert.Contains(name.ToLowerInvariant(), fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("AWS4-HMAC-SHA256")]
    [InlineData("AWS4-HMAC-SHA256 ")]
    [InlineData("AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=")]
    [InlineData("AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=short")]
    [InlineData("AWS4-HMAC-SHA256 Credential=AK/20130525/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
    [InlineData("Bearer whatever")]
    [InlineData("AWS AK:signature")]
    public void A_malformed_authorization_is_a_client_error(string header)
    {
        var request = new DefaultHttpContext().Request;
        request.Headers["x-amz-date"] = "20130524T000000Z";
        request.Headers["x-amz-content-sha256"] = EmptyHash;
        request.Headers.Authorization = header;

        Assert.Equal(400, Assert.Throws<S3Fault>(() => SignatureV4.Read(request, S3Target.Parse("/", "h", []), Now)).Status);
    }

    [Fact]
    public void A_request_from_another_time_is_refused()
    {
        var request = Request("GET", EmptyHash, "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");

        Assert.Equal("RequestTimeTooSkewed", Assert.Throws<S3Fault>(() => SignatureV4.Read(request, S3Target.Parse("/", "h", []), Now.AddMinutes(16))).Code);
    }

    private static HttpRequest Request(string method, string payloadHash, string signedHeaders, string signature)
    {
        var request = new DefaultHttpContext().Request;
        request.Method = method;
        request.Headers.Host = "examplebucket.s3.amazonaws.com";
        request.Headers["x-amz-date"] = "20130524T000000Z";
        request.Headers["x-amz-content-sha256"] = payloadHash;
        if (signedHeaders.Contains("range", StringComparison.Ordinal))
        {
            request.Headers.Range = "bytes=0-9";
        }
        if (signedHeaders.StartsWith("date", StringComparison.Ordinal))
        {
            request.Headers.Date = "Fri, 24 May 2013 00:00:00 GMT";
            request.Headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
        }
        request.Headers.Authorization = $"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={signedHeaders},Signature={signature}";
        return request;
    }

    private static SignatureClaim Claim(string signature) => new(
        "AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3", Now, ["host"], signature, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", IsPresigned: false);

    private static void Chunk(MemoryStream body, int size, string signature)
    {
        body.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{size:x};chunk-signature={signature}\r\n")));
        body.Write(Enumerable.Repeat((byte)'a', size).ToArray());
        body.Write("\r\n"u8);
    }

    private static async Task<byte[]> ReadAsync(AwsChunkedStream decoder)
    {
        var all = new MemoryStream();
        var buffer = new byte[10_000];
        int read;
        while ((read = await decoder.ReadAsync(buffer, CancellationToken.None)) > 0)
        {
            all.Write(buffer, 0, read);
        }
        return all.ToArray();
    }
}
