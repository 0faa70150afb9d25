using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nephos.LoadTests.Scenarios;

/// <summary>Signs requests with AWS Signature Version 4 and an unsigned payload, as S3 clients do over a trusted link.</summary>
internal sealed class AwsSigner(string accessKey, string secretKey, string region)
{
    private const string Unsigned = "UNSIGNED-PAYLOAD";

    public void Sign(HttpRequestMessage request, DateTimeOffset now)
    {
        var stamp = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        var day = stamp[..8];
        var uri = request.RequestUri!;
        request.Headers.TryAddWithoutValidation("x-amz-date", stamp);
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", Unsigned);
        var query = string.Join('&', uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(item => item.Contains('=', StringComparison.Ordinal) ? item : item + "=").Order(StringComparer.Ordinal));
        var canonical = $"{request.Method.Method}\n{uri.AbsolutePath}\n{query}\nhost:{uri.Authority}\nx-amz-content-sha256:{Unsigned}\nx-amz-date:{stamp}\n\nhost;x-amz-content-sha256;x-amz-date\n{Unsigned}";
        var scope = $"{day}/{region}/s3/aws4_request";
        var text = $"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        var key = Chain(Chain(Chain(Chain(Encoding.UTF8.GetBytes("AWS4" + secretKey), day), region), "s3"), "aws4_request");
        var signature = Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text)));
        request.Headers.TryAddWithoutValidation("Authorization",
            $"AWS4-HMAC-SHA256 Credential={accessKey}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}");
    }

    private static byte[] Chain(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));
}
