using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Nephos.Client.Objects;
using Nephos.Hosting.Rest;
using Nephos.ObjectStorage.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Uploads from a browser's form, allowed by a policy that its owner signed.</summary>
/// <remarks>Source: AWS, "Browser-Based Uploads Using POST (AWS Signature Version 4)". The file comes last; nothing after it counts.</remarks>
internal static class S3PostForm
{
    private const int MaxPolicyDepth = 8;
    private const int MaxFields = 100;
    private const int MaxFieldBytes = 64 * 1024;
    private const int MaxBoundaryChars = 200;

    public static bool IsForm(HttpRequest request, S3Target target) =>
        HttpMethods.IsPost(request.Method) && target is { Bucket.Length: > 0, Key.Length: 0 } && !target.Has("delete") &&
        MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase);

    public static async Task PostAsync(S3Call anonymous, S3Authenticator authenticator)
    {
        var boundary = HeaderUtilities.RemoveQuotes(MediaTypeHeaderValue.Parse(anonymous.Http.Request.ContentType).Boundary).ToString();
        if (boundary.Length is 0 or > MaxBoundaryChars)
        {
            throw Malformed("The body of your POST request is not well-formed multipart/form-data.");
        }
        var reader = new MultipartReader(boundary, anonymous.Http.Request.Body) { HeadersLengthLimit = 16 * 1024 };
        var fields = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        try
        {
            while (await reader.ReadNextSectionAsync(anonymous.Cancelled) is { } section)
            {
                if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition))
                {
                    throw Malformed("A part of the form has no Content-Disposition.");
                }
                var name = HeaderUtilities.RemoveQuotes(disposition.Name).ToString();
                if (name.Equals("file", StringComparison.OrdinalIgnoreCase))
                {
                    var fileName = (disposition.FileNameStar.HasValue ? disposition.FileNameStar : HeaderUtilities.RemoveQuotes(disposition.FileName)).ToString();
                    await StoreAsync(anonymous, authenticator, fields, section, fileName);
                    return;
                }
                if (fields.Count == MaxFields)
                {
                    throw Malformed($"A form has at most {MaxFields} fields.");
                }
                fields[name] = await ReadFieldAsync(anonymous, section);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException and not BadHttpRequestException)
        {
            throw Malformed("The body of your POST request is not well-formed multipart/form-data.");
        }
        throw S3Fault.InvalidArgument("POST requires exactly one file upload per request.");
    }

    private static async Task StoreAsync(
        S3Call anonymous, S3Authenticator authenticator, Dictionary<string, string> fields, MultipartSection section, string fileName)
    {
        var key = fields.GetValueOrDefault("key", "").Replace("${filename}", fileName, StringComparison.Ordinal);
        if (key.Length == 0)
        {
            throw S3Fault.InvalidArgument("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.");
        }
        fields["key"] = key;
        fields["bucket"] = anonymous.Target.Bucket;
        var signer = fields.ContainsKey("policy") || fields.ContainsKey("x-amz-signature") ? await AuthenticateAsync(anonymous, authenticator, fields) : null;
        var call = await anonymous.By(signer).AtAsync(anonymous.Target.Bucket, key, version: null);
        await S3Access.RequireAsync(call, "s3:PutObject");
        var (min, max) = signer is null ? (0, S3Objects.MaxPutBytes) : Check(call, fields);
        var acl = fields.TryGetValue("acl", out var canned) ? S3Acl.OfCanned(canned) : S3Acl.Private;
        var system = RecordMetadata.Empty;
        foreach (var (field, kept) in new[]
        {
            ("Content-Disposition", "content-disposition"), ("Content-Encoding", "content-encoding"), ("Cache-Control", "cache-control"), ("Expires", "expires"),
        })
        {
            system = fields.TryGetValue(field, out var value) && value.Length > 0 ? system.SetItem(kept, value) : system;
        }
        if (acl.Grants.Count > 0)
        {
            S3Rights.Check(call, acl);
            system = system.SetItem(S3Acl.Key, acl.ToString());
        }
        await using var writer = new HashingWriter(call.Engine.Payloads, StoragePolicies.PayloadOf(call.BucketRecord, key));
        while (true)
        {
            var buffer = writer.GetMemory();
            var read = await section.Body.ReadAsync(buffer, call.Cancelled);
            if (read == 0)
            {
                break;
            }
            await writer.AdvanceAsync(read, call.Cancelled);
            if (writer.LengthBytes > max)
            {
                throw new S3Fault(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size");
            }
        }
        if (writer.LengthBytes < min)
        {
            throw new S3Fault(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size");
        }
        var (payload, md5) = await writer.CompleteAsync(call.Cancelled);
        var stored = await S3Objects.CommitAsync(
            call,
            new ObjectRecord
            {
                Key = key,
                ETag = md5,
                SizeBytes = payload.LengthBytes,
                Payload = payload,
                ContentType = fields.GetValueOrDefault("Content-Type") is { Length: > 0 } type ? type : "binary/octet-stream",
                Modified = call.Now,
                Owner = call.CallerId,
                SystemMetadata = S3Lock.Apply(call, system),
                UserMetadata = RecordMetadata.Empty.AddRange(fields
                    .Where(field => field.Key.StartsWith("x-amz-meta-", StringComparison.OrdinalIgnoreCase))
                    .Select(field => KeyValuePair.Create(field.Key["x-amz-meta-".Length..].ToLowerInvariant(), field.Value))),
            },
            WriteConditions.None);
        call.Reply("ETag", Quote(md5));
        S3Objects.WriteVersion(call, stored);
        var location = $"{call.Http.Request.Scheme}://{call.Http.Request.Host}/{call.Target.Bucket}/{S3Target.Escape(key, keepSlash: true)}";
        if ((fields.GetValueOrDefault("success_action_redirect") ?? fields.GetValueOrDefault("redirect")) is { } redirect &&
            Uri.TryCreate(redirect, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https")
        {
            call.Reply("Location", $"{uri.AbsoluteUri}{(uri.Query.Length > 0 ? '&' : '?')}bucket={Uri.EscapeDataString(call.Target.Bucket)}&key={Uri.EscapeDataString(key)}&etag={Uri.EscapeDataString(Quote(md5))}");
            await call.EmptyAsync(303);
            return;
        }
        call.Reply("Location", location);
        switch (fields.GetValueOrDefault("success_action_status"))
        {
            case "200":
                await call.EmptyAsync(200);
                break;
            case "201":
                await call.XmlAsync(201, Element("PostResponse",
                    Element("Location", location), Element("Bucket", call.Target.Bucket), Element("Key", key), Element("ETag", Quote(md5))));
                break;
            default:
                await call.EmptyAsync(204);
                break;
        }
    }

    private static async ValueTask<S3Signer> AuthenticateAsync(S3Call call, S3Authenticator authenticator, Dictionary<string, string> fields)
    {
        var parts = fields.GetValueOrDefault("x-amz-credential", "").Split('/');
        var signature = fields.GetValueOrDefault("x-amz-signature", "");
        if (fields.GetValueOrDefault("x-amz-algorithm") != SignatureV4.Algorithm || parts.Length < 5 || parts[^1] != "aws4_request" || signature.Length != 64 ||
            !fields.TryGetValue("policy", out var policy))
        {
            throw S3Fault.InvalidArgument("The form needs policy, x-amz-algorithm, x-amz-credential, x-amz-date and x-amz-signature.");
        }
        var claim = new SignatureClaim(
            string.Join('/', parts[..^4]), parts[^4], parts[^3], parts[^2], call.Now, ["host"], signature, SignatureV4.UnsignedPayload, IsPresigned: true);
        var signer = await authenticator.FindSignerAsync(claim, call.Cancelled);
        return SignatureV4.VerifyText(signer.SigningKey, policy, signature) ? signer : throw S3Fault.SignatureDoesNotMatch();
    }

    /// <summary>Holds the form against its policy.</summary>
    /// <returns>The bounds of the file's size.</returns>
    private static (long Min, long Max) Check(S3Call call, Dictionary<string, string> fields)
    {
        JsonObject policy;
        try
        {
            policy = StrictJson.Parse(Convert.FromBase64String(fields["policy"]), MaxPolicyDepth) as JsonObject ?? throw Invalid("Invalid JSON.");
        }
        catch (Exception exception) when (exception is FormatException or JsonException)
        {
            throw Invalid("Invalid JSON.");
        }
        if (!DateTimeOffset.TryParse(Text(policy["expiration"]), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var expires))
        {
            throw Invalid("Policy missing expiration.");
        }
        if (expires <= call.Now)
        {
            throw S3Fault.AccessDenied("Invalid according to Policy: Policy expired.");
        }
        var (min, max) = (0L, S3Objects.MaxPutBytes);
        var covered = new HashSet<string>(["policy", "x-amz-signature", "bucket", "file"], StringComparer.OrdinalIgnoreCase);
        foreach (var condition in policy["conditions"] as JsonArray ?? throw Invalid("Policy missing conditions."))
        {
            switch (condition)
            {
                case JsonObject exact:
                    foreach (var (name, value) in exact)
                    {
                        Require(covered, fields, name, actual => actual == Text(value));
                    }
                    break;
                case JsonArray { Count: 3 } range when Text(range[0])?.Equals("content-length-range", StringComparison.OrdinalIgnoreCase) == true:
                    (min, max) = (Number(range[1]), Math.Min(Number(range[2]), S3Objects.MaxPutBytes));
                    break;
                case JsonArray { Count: 3 } test when Text(test[1]) is ['$', .. var name] && Text(test[2]) is { } value:
                    Require(covered, fields, name, Text(test[0])?.ToLowerInvariant() switch
                    {
                        "eq" => actual => actual == value,
                        "starts-with" => actual => actual.StartsWith(value, StringComparison.Ordinal),
                        _ => throw Invalid("Invalid condition."),
                    });
                    break;
                default:
                    throw Invalid("Invalid condition.");
            }
        }
        if (fields.Keys.FirstOrDefault(name => !covered.Contains(name) && !name.StartsWith("x-ignore-", StringComparison.OrdinalIgnoreCase)) is { } extra)
        {
            throw S3Fault.AccessDenied($"Invalid according to Policy: Extra input fields: {extra}");
        }
        return (min, max);
    }

    private static void Require(HashSet<string> covered, Dictionary<string, string> fields, string name, Func<string, bool> holds)
    {
        covered.Add(name);
        if (!holds(fields.GetValueOrDefault(name, "")))
        {
            throw S3Fault.AccessDenied($"Invalid according to Policy: Policy Condition failed: [\"{name}\"]");
        }
    }

    private static async ValueTask<string> ReadFieldAsync(S3Call call, MultipartSection section)
    {
        var buffer = new byte[MaxFieldBytes + 1];
        var count = await section.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, call.Cancelled);
        return count <= MaxFieldBytes ? Encoding.UTF8.GetString(buffer, 0, count) : throw new S3Fault(400, "MaxPostPreDataLengthExceededError", "Your POST request fields preceeding the upload file was too large.");
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static long Number(JsonNode? node) => node is JsonValue value && (value.TryGetValue<long>(out var number) ||
        (value.TryGetValue<string>(out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number))) && number >= 0
            ? number
            : throw Invalid("Invalid content-length-range.");

    private static S3Fault Invalid(string message) => new(400, "InvalidPolicyDocument", $"Invalid Policy: {message}");

    private static S3Fault Malformed(string message) => new(400, "MalformedPOSTRequest", message);
}
