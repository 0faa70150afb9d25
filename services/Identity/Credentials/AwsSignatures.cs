using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nephos.Identity.Credentials;

/// <summary>A request that was signed with an access key, as the service that received it tells it.</summary>
internal sealed record SignedRequest
{
    public required string Access { get; init; }

    public required string Signature { get; init; }

    public string Host { get; init; } = "";

    public string Verb { get; init; } = "";

    public string Path { get; init; } = "";

    public IReadOnlyDictionary<string, string> Params { get; init; } = new Dictionary<string, string>();

    /// <summary>Names in any case.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>Hex SHA-256 of the body.</summary>
    public string BodyHash { get; init; } = "";
}

/// <summary>AWS signatures of versions 0, 1, 2 and 4, as the AWS General Reference describes them.</summary>
internal static class AwsSignatures
{
    public const string Algorithm4 = "AWS4-HMAC-SHA256";

    private const string Terminator = "aws4_request";

    /// <summary>The key of one day, region and service; 32 bytes.</summary>
    public static byte[] SigningKey(string secret, string date, string region, string service)
    {
        var key = Hmac256(Encoding.UTF8.GetBytes("AWS4" + secret), date);
        key = Hmac256(key, region);
        key = Hmac256(key, service);
        return Hmac256(key, Terminator);
    }

    /// <summary>Checks a finished string to sign, as an S3 server has it: four lines in version 4, else HMAC-SHA1 of all.</summary>
    public static bool IsStringSigned(string secret, byte[] stringToSign, string signature)
    {
        var text = Encoding.UTF8.GetString(stringToSign);
        if (!text.StartsWith(Algorithm4 + "\n", StringComparison.Ordinal))
        {
            return Same(Convert.ToBase64String(HMACSHA1.HashData(Encoding.UTF8.GetBytes(secret), stringToSign)), signature);
        }
        var lines = text.Split('\n');
        var scope = lines.Length == 4 ? lines[2].Split('/') : [];
        return scope is [var date, var region, "s3" or "iam" or "sts", Terminator] &&
            Same(Convert.ToHexStringLower(HMACSHA256.HashData(SigningKey(secret, date, region, scope[2]), stringToSign)), signature);
    }

    /// <summary>Checks a whole request. Some clients sign the host with its port and some without.</summary>
    public static bool IsSigned(string secret, SignedRequest request)
    {
        if (Verify(secret, request))
        {
            return true;
        }
        var colon = request.Host.LastIndexOf(':');
        return colon > 0 && Verify(secret, request with { Host = request.Host[..colon] });
    }

    /// <summary>When the request was signed; null when it does not say.</summary>
    public static DateTimeOffset? SignedAt(SignedRequest request)
    {
        var text = request.Params.GetValueOrDefault("Timestamp") ?? request.Params.GetValueOrDefault("X-Amz-Date") ??
            Header(request, "X-Amz-Date") ?? Header(request, "Date");
        const DateTimeStyles Utc = DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal;
        return DateTimeOffset.TryParseExact(text, "yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture, Utc, out var time) ||
            DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, Utc, out time)
                ? time
                : null;
    }

    private static bool Verify(string secret, SignedRequest request)
    {
        var key = Encoding.UTF8.GetBytes(secret);
        var parameters = request.Params;
        return parameters.GetValueOrDefault("SignatureVersion") switch
        {
            "0" => Same(Base64Hmac1(key, parameters.GetValueOrDefault("Action") + parameters.GetValueOrDefault("Timestamp")), request.Signature),
            "1" => Same(
                Base64Hmac1(key, string.Concat(parameters.OrderBy(pair => pair.Key, StringComparer.OrdinalIgnoreCase).Select(pair => pair.Key + pair.Value))),
                request.Signature),
            "2" => Same(Signature2(key, request), request.Signature),
            _ => Same(Signature4(secret, request), request.Signature),
        };
    }

    private static string Signature2(byte[] key, SignedRequest request)
    {
        var text = Encoding.UTF8.GetBytes($"{request.Verb}\n{request.Host}\n{request.Path}\n{CanonicalQuery(request.Params)}");
        return request.Params.GetValueOrDefault("SignatureMethod") == "HmacSHA1"
            ? Convert.ToBase64String(HMACSHA1.HashData(key, text))
            : Convert.ToBase64String(HMACSHA256.HashData(key, text));
    }

    private static string? Signature4(string secret, SignedRequest request)
    {
        var authorization = Header(request, "Authorization");
        var credential = Part(authorization, "Credential=") ?? request.Params.GetValueOrDefault("X-Amz-Credential");
        var signedHeaders = Part(authorization, "SignedHeaders=") ?? request.Params.GetValueOrDefault("X-Amz-SignedHeaders");
        var date = request.Params.GetValueOrDefault("X-Amz-Date") ?? Header(request, "X-Amz-Date");
        if (credential?.Split('/') is not [_, var day, var region, var service, Terminator] || signedHeaders is null || date is null)
        {
            return null;
        }
        var headers = string.Concat(signedHeaders.Split(';').Select(name =>
            $"{name.ToLowerInvariant()}:{(name.Equals("host", StringComparison.OrdinalIgnoreCase) ? request.Host : Header(request, name)?.Trim())}\n"));
        var query = request.Verb.Equals("POST", StringComparison.OrdinalIgnoreCase) && authorization is not null
            ? ""
            : CanonicalQuery(request.Params.Where(pair => pair.Key != "X-Amz-Signature"));
        var canonical = $"{request.Verb}\n{request.Path}\n{query}\n{headers}\n{signedHeaders}\n{request.BodyHash}";
        var toSign = $"{Algorithm4}\n{date}\n{day}/{region}/{service}/{Terminator}\n" +
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)));
        return Convert.ToHexStringLower(HMACSHA256.HashData(SigningKey(secret, day, region, service), Encoding.UTF8.GetBytes(toSign)));
    }

    private static string CanonicalQuery(IEnumerable<KeyValuePair<string, string>> parameters) => string.Join('&', parameters
        .Select(pair => (Key: Uri.EscapeDataString(pair.Key), Value: Uri.EscapeDataString(pair.Value)))
        .OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));

    private static string? Header(SignedRequest request, string name) =>
        request.Headers.FirstOrDefault(pair => pair.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    private static string? Part(string? authorization, string name)
    {
        var start = authorization?.IndexOf(name, StringComparison.Ordinal) ?? -1;
        return start < 0 ? null : authorization![(start + name.Length)..].Split(',')[0].Trim();
    }

    private static byte[] Hmac256(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));

    private static string Base64Hmac1(byte[] key, string text) => Convert.ToBase64String(HMACSHA1.HashData(key, Encoding.UTF8.GetBytes(text)));

    private static bool Same(string? expected, string given) =>
        expected is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(given));
}
