using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Nephos.ObjectStorage.S3;

/// <summary>What a request claims in its Authorization header or its query, before the signature is checked.</summary>
/// <param name="Signature">Lower-case hex.</param>
/// <param name="PayloadHash">What the signature says of the body: a SHA-256 in hex, or one of the literal words.</param>
/// <param name="IsPresigned">The claim came in the query.</param>
internal sealed record SignatureClaim(
    string AccessKey, string Date, string Region, string Service, DateTimeOffset Time, IReadOnlyList<string> SignedHeaders, string Signature,
    string PayloadHash, bool IsPresigned)
{
    public string Scope => $"{Date}/{Region}/{Service}/aws4_request";
}

/// <summary>AWS Signature Version 4, the receiving side.</summary>
internal static class SignatureV4
{
    public const string Algorithm = "AWS4-HMAC-SHA256";
    public const string UnsignedPayload = "UNSIGNED-PAYLOAD";
    private const string TimeFormat = "yyyyMMdd'T'HHmmss'Z'";
    private const int MaxHeaderChars = 4096;
    private const int MaxSignedHeaders = 100;
    private static readonly TimeSpan MaxSkew = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan MaxPresigned = TimeSpan.FromDays(7);

    /// <returns>Null when the request is not signed at all.</returns>
    /// <exception cref="S3Fault">The claim is malformed, too old, or leaves an x-amz-* header unsigned.</exception>
    public static SignatureClaim? Read(HttpRequest request, S3Target target, DateTimeOffset now)
    {
        var claim = target.Has("X-Amz-Algorithm") ? FromQuery(target, now) : FromHeader(request, now);
        if (claim is null)
        {
            return null;
        }
        if (!claim.SignedHeaders.Contains("host", StringComparer.Ordinal))
        {
            throw S3Fault.AccessDenied("There were headers present in the request which were not signed: host");
        }
        // An unsigned x-amz-* header would let its sender change what a signature allowed, a copy source for one.
        foreach (var (name, _) in request.Headers)
        {
            var lower = name.ToLowerInvariant();
            if (lower.StartsWith("x-amz-", StringComparison.Ordinal) && !claim.SignedHeaders.Contains(lower, StringComparer.Ordinal) &&
                !(claim.IsPresigned && lower == "x-amz-content-sha256"))
            {
                throw S3Fault.AccessDenied($"There were headers present in the request which were not signed: {lower}");
            }
        }
        return claim;
    }

    /// <summary>Whether the claim's signature is the one the key makes for this request.</summary>
    public static bool Verify(SignatureClaim claim, HttpRequest request, S3Target target, ReadOnlySpan<byte> signingKey)
    {
        var canonical = new StringBuilder()
            .Append(request.Method).Append('\n')
            .Append(target.CanonicalPath).Append('\n')
            .Append(CanonicalQuery(target, claim.IsPresigned)).Append('\n');
        foreach (var name in claim.SignedHeaders)
        {
            canonical.Append(name).Append(':').Append(CanonicalHeader(request, name)).Append('\n');
        }
        canonical.Append('\n').AppendJoin(';', claim.SignedHeaders).Append('\n').Append(claim.PayloadHash);
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())));
        var text = $"{Algorithm}\n{claim.Time.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture)}\n{claim.Scope}\n{hash}";
        var expected = Convert.ToHexStringLower(HMACSHA256.HashData(signingKey, Encoding.UTF8.GetBytes(text)));
        return CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(expected), Encoding.ASCII.GetBytes(claim.Signature));
    }

    /// <summary>Whether a signature, in hex, is the key's over a text.</summary>
    public static bool VerifyText(byte[] signingKey, string text, string signature)
    {
        Span<byte> expected = stackalloc byte[HMACSHA256.HashSizeInBytes];
        Span<byte> given = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(signingKey, Encoding.UTF8.GetBytes(text), expected);
        return signature.Length == 64 && Convert.FromHexString(signature, given, out _, out _) == System.Buffers.OperationStatus.Done &&
            CryptographicOperations.FixedTimeEquals(expected, given);
    }

    private static SignatureClaim? FromHeader(HttpRequest request, DateTimeOffset now)
    {
        var header = request.Headers.Authorization.ToString();
        if (header.Length == 0)
        {
            return null;
        }
        if (header.Length > MaxHeaderChars || !header.StartsWith(Algorithm + " ", StringComparison.Ordinal))
        {
            throw header.StartsWith("AWS ", StringComparison.Ordinal)
                ? S3Fault.InvalidRequest("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
                : new S3Fault(400, "AuthorizationHeaderMalformed", "The authorization header is malformed.");
        }
        string? credential = null, signed = null, signature = null;
        foreach (var part in header[(Algorithm.Length + 1)..].Split(',', StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            switch (equals < 0 ? "" : part[..equals])
            {
                case "Credential":
                    credential = part[(equals + 1)..];
                    break;
                case "SignedHeaders":
                    signed = part[(equals + 1)..];
                    break;
                case "Signature":
                    signature = part[(equals + 1)..];
                    break;
            }
        }
        var stamp = request.Headers["x-amz-date"].ToString();
        var time = Time(stamp) ?? (DateTimeOffset.TryParseExact(request.Headers.Date.ToString(), "R", CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal, out var date) ? date : throw S3Fault.AccessDenied("AWS authentication requires a valid Date or x-amz-date header"));
        if ((now - time).Duration() > MaxSkew)
        {
            throw new S3Fault(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.");
        }
        var payload = request.Headers["x-amz-content-sha256"].ToString();
        return Make(credential, signed, signature, time,
            payload.Length > 0 ? payload : throw S3Fault.InvalidRequest("Missing required header for this request: x-amz-content-sha256"), presigned: false);
    }

    private static SignatureClaim FromQuery(S3Target target, DateTimeOffset now)
    {
        if (target.Get("X-Amz-Algorithm") != Algorithm)
        {
            throw QueryFault("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
        }
        var time = Time(target.Get("X-Amz-Date")) ?? throw QueryFault("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
        if (!long.TryParse(target.Get("X-Amz-Expires"), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ||
            seconds < 1 || seconds > MaxPresigned.TotalSeconds)
        {
            throw QueryFault("X-Amz-Expires must be between 1 and 604800 seconds");
        }
        if (time - now > MaxSkew || now - time > TimeSpan.FromSeconds(seconds))
        {
            throw S3Fault.AccessDenied("Request has expired");
        }
        return Make(target.Get("X-Amz-Credential"), target.Get("X-Amz-SignedHeaders"), target.Get("X-Amz-Signature"), time,
            target.Get("X-Amz-Content-Sha256") ?? UnsignedPayload, presigned: true);
    }

    private static SignatureClaim Make(
        string? credential, string? signed, string? signature, DateTimeOffset time, string payloadHash, bool presigned)
    {
        // The access key may hold slashes; the four parts of the scope do not.
        var parts = credential?.Split('/') ?? [];
        var headers = signed?.Split(';') ?? [];
        if (parts.Length < 5 || parts[^1] != "aws4_request" || headers.Length is 0 or > MaxSignedHeaders || signature is not { Length: 64 } ||
            parts[^4] != time.UtcDateTime.ToString("yyyyMMdd", CultureInfo.InvariantCulture))
        {
            throw presigned
                ? QueryFault("Error parsing the X-Amz-Credential parameter")
                : new S3Fault(400, "AuthorizationHeaderMalformed", "The authorization header is malformed.");
        }
        return new SignatureClaim(
            string.Join('/', parts[..^4]), parts[^4], parts[^3], parts[^2], time, [.. headers.Select(name => name.ToLowerInvariant())],
            signature.ToLowerInvariant(), payloadHash, presigned);
    }

    private static string CanonicalQuery(S3Target target, bool presigned) => string.Join('&', target.Query
        .Where(item => !presigned || item.Name != "X-Amz-Signature")
        .Select(item => (Name: S3Target.Escape(item.Name, keepSlash: false), Value: S3Target.Escape(item.Value, keepSlash: false)))
        .OrderBy(item => item.Name, StringComparer.Ordinal).ThenBy(item => item.Value, StringComparer.Ordinal)
        .Select(item => $"{item.Name}={item.Value}"));

    private static string CanonicalHeader(HttpRequest request, string name)
    {
        if (name == "host")
        {
            return request.Headers.Host.ToString();
        }
        var joined = string.Join(',', request.Headers[name].Select(value => (value ?? "").Trim()));
        if (!joined.Contains("  ", StringComparison.Ordinal))
        {
            return joined;
        }
        var result = new StringBuilder(joined.Length);
        foreach (var c in joined)
        {
            if (c != ' ' || result.Length == 0 || result[^1] != ' ')
            {
                result.Append(c);
            }
        }
        return result.ToString();
    }

    private static DateTimeOffset? Time(string? text) => DateTimeOffset.TryParseExact(
        text, TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;

    private static S3Fault QueryFault(string message) => new(400, "AuthorizationQueryParametersError", message);
}
