using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Xunit;

namespace Nephos.Contract.Tests.Objects;

/// <summary>What came back, header names in any case.</summary>
internal sealed record Reply(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => Encoding.UTF8.GetString(Body);

    public JsonArray Array => JsonNode.Parse(Body)!.AsArray();

    public XElement Xml => XElement.Parse(Text);

    /// <summary>S3's error code.</summary>
    public string Code => Body.Length == 0 ? "" : Value("Code");

    public string? this[string header] => Headers.GetValueOrDefault(header);

    /// <summary>The texts of all elements with the local name.</summary>
    public List<string> Values(string name) => [.. Xml.DescendantsAndSelf().Where(element => element.Name.LocalName == name).Select(element => element.Value)];

    public string Value(string name) => Values(name).FirstOrDefault() ?? "";

    public Reply Is(int status)
    {
        Assert.True(status == Status, $"Wanted {status}, got {Status}: {Text[..Math.Min(Text.Length, 600)]}");
        return this;
    }
}

/// <summary>Clients of both faces. Every test has a project of its own, and so the whole store to itself.</summary>
[Collection(ObjectCollection.Name)]
public abstract class ObjectTests(ObjectCloud cloud)
{
    public const string Region = "RegionOne";

    internal ObjectCloud Cloud { get; } = cloud;

    internal string Project { get; } = Guid.NewGuid().ToString("N");

    internal string Member => $"alice:{Project}:member";

    internal string Reader => $"rita:{Project}:reader";

    internal string Stranger { get; } = $"bob:{Guid.NewGuid():N}:member";

    internal static string Admin => "root:admin:admin,member";

    internal static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    internal static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    internal static string Md5(byte[] bytes) => Convert.ToHexStringLower(MD5.HashData(bytes));

    internal Task<Reply> SwiftAsync(string method, string path, byte[]? body = null, string? who = null, params (string Name, string Value)[] headers) =>
        SendAsync(method, $"/object/v1/AUTH_{Project}{path}", body, null,
            who == "" ? headers : [("X-Auth-Token", who ?? Member), .. headers]);

    /// <summary>A signed request; nobody's when <paramref name="who"/> is empty.</summary>
    /// <param name="target">Raw path and query, as they go over the wire.</param>
    internal Task<Reply> S3Async(string method, string target, byte[]? body = null, string? who = null, params (string Name, string Value)[] headers)
    {
        if (who == "")
        {
            return SendAsync(method, target, body, "s3.localhost", headers);
        }
        var signed = Sign(method, target, who ?? Member, headers, Convert.ToHexStringLower(SHA256.HashData(body ?? [])));
        return SendAsync(method, target, body, "s3.localhost", signed.Headers);
    }

    internal (List<(string Name, string Value)> Headers, string Signature, byte[] Key, string Scope, string Time) Sign(
        string method, string target, string who, IEnumerable<(string Name, string Value)> headers, string payloadHash, string host = "s3.localhost")
    {
        var accessKey = who.Replace(':', '.');
        var time = Cloud.Time.GetUtcNow().UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        var scope = $"{time[..8]}/{Region}/s3/aws4_request";
        List<(string Name, string Value)> all = [.. headers, ("x-amz-date", time), ("x-amz-content-sha256", payloadHash)];
        var signed = all.Where(header => header.Name.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase))
            .ToDictionary(header => header.Name.ToLowerInvariant(), header => header.Value);
        signed["host"] = host;
        var (path, query) = target.Split('?', 2) is [var first, var second] ? (first, second) : (target, "");
        var key = AwsSignature.SigningKey(ObjectCloud.SecretOf(accessKey), time[..8], Region, "s3");
        var signature = AwsSignature.Sign(key, scope, time, method, path, query, signed, payloadHash);
        all.Add(("Authorization",
            $"AWS4-HMAC-SHA256 Credential={accessKey}/{scope}, SignedHeaders={string.Join(';', signed.Keys.Order(StringComparer.Ordinal))}, Signature={signature}"));
        return (all, signature, key, scope, time);
    }

    /// <summary>A presigned target.</summary>
    internal string Presign(string method, string target, string who, int seconds = 300, IReadOnlyDictionary<string, string>? headers = null)
    {
        var accessKey = who.Replace(':', '.');
        var time = Cloud.Time.GetUtcNow().UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        var scope = $"{time[..8]}/{Region}/s3/aws4_request";
        var signed = new Dictionary<string, string>(headers ?? new Dictionary<string, string>()) { ["host"] = "s3.localhost" };
        var names = string.Join(';', signed.Keys.Order(StringComparer.Ordinal));
        var (path, query) = target.Split('?', 2) is [var first, var second] ? (first, second + "&") : (target, "");
        query += $"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={Uri.EscapeDataString($"{accessKey}/{scope}")}&X-Amz-Date={time}" +
            $"&X-Amz-Expires={seconds}&X-Amz-SignedHeaders={Uri.EscapeDataString(names)}";
        var key = AwsSignature.SigningKey(ObjectCloud.SecretOf(accessKey), time[..8], Region, "s3");
        return $"{path}?{query}&X-Amz-Signature={AwsSignature.Sign(key, scope, time, method, path, query, signed, AwsSignature.Unsigned)}";
    }

    internal async Task<Reply> SendAsync(string method, string target, byte[]? body, string? host, IEnumerable<(string Name, string Value)> headers)
    {
        using var request = new HttpRequestMessage(
            new HttpMethod(method), new Uri(Cloud.Http.BaseAddress!.GetLeftPart(UriPartial.Authority) + target, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        request.Headers.Host = host;
        if (body is not null || method is "PUT" or "POST")
        {
            request.Content = new ByteArrayContent(body ?? []);
        }
        foreach (var (name, value) in headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value))
            {
                request.Content ??= new ByteArrayContent([]);
                Assert.True(request.Content.Headers.TryAddWithoutValidation(name, value), name);
            }
        }
        using var response = await Cloud.Http.SendAsync(request);
        return new Reply(
            (int)response.StatusCode,
            response.Headers.Concat(response.Content.Headers).ToDictionary(header => header.Key, header => string.Join(", ", header.Value), StringComparer.OrdinalIgnoreCase),
            await response.Content.ReadAsByteArrayAsync());
    }
}
