using System.Globalization;
using Nephos.ObjectStorage.S3;
using S3Names = Nephos.ObjectStorage.S3.S3Target;

namespace Nephos.Fuzzing.Targets;

/// <summary>What says who signed a request: the Authorization header or the query, and the text that is signed.</summary>
internal sealed class SignatureTarget : FuzzTarget
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly string Stamp = Now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
    private static readonly string[] Domains = ["localhost", "s3.localhost"];
    private static readonly byte[] Key = [1, 2, 3];

    public override string Name => "sigv4";

    public override string About => "signatures of version 4 in headers and in presigned URLs";

    public override IReadOnlyList<byte[]> Words { get; } = WordsOf(
        "AWS4-HMAC-SHA256 ", "Credential=", "SignedHeaders=", "Signature=", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Signature=", "&", "=", ";", "/", ",", "aws4_request", "%2F", "%", "+", "x-amz-date",
        "\nx-amz-acl: private", "host", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "\nAuthorization: AWS4-HMAC-SHA256 ");

    public override byte[] Make(Random random)
    {
        var scope = $"{Stamp[..8]}/RegionOne/s3/aws4_request";
        var signature = new string(Pick(random, '0', 'a'), 64);
        var path = Pick(random, "/box/key", "/", "/box/a%20b/../c", "/box//%C3%A9?x=1");
        if (random.Next(2) == 0)
        {
            return HttpInput.Make("GET", path,
            [
                ("Host", Pick(random, "localhost", "box.s3.localhost:9000")),
                ("x-amz-date", Stamp),
                ("x-amz-content-sha256", Pick(random, "UNSIGNED-PAYLOAD", new string('0', 64))),
                ("Authorization", $"AWS4-HMAC-SHA256 Credential=access/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"),
            ], []);
        }
        return HttpInput.Make("GET",
            $"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=access%2F{Uri.EscapeDataString(scope)}&X-Amz-Date={Stamp}&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
            [("Host", "localhost")], []);
    }

    public override void Run(byte[] input)
    {
        if (HttpInput.Parse(input) is not { } http)
        {
            return;
        }
        try
        {
            var target = S3Names.Parse(input.AsSpan().IndexOf((byte)' ') is var at && at >= 0 ? TargetOf(http) : "/", http.Request.Host.Host, Domains);
            if (SignatureV4.Read(http.Request, target, Now) is { } claim && SignatureV4.Verify(claim, http.Request, target, Key))
            {
                throw new InvalidDataException("A signature that nobody made was accepted.");
            }
        }
        catch (S3Fault)
        {
        }
    }

    private static string TargetOf(Microsoft.AspNetCore.Http.HttpContext http) =>
        ((Microsoft.AspNetCore.Http.Features.IHttpRequestFeature)http.Features[typeof(Microsoft.AspNetCore.Http.Features.IHttpRequestFeature)]!).RawTarget;
}
