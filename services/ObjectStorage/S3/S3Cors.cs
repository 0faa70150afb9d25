using System.Globalization;
using System.Xml;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Rules for scripts of other origins: kept per bucket, answered to preflights, applied to answers.</summary>
internal static class S3Cors
{
    public const string Key = "s3.cors";
    private const int MaxRules = 100;
    private const int MaxChars = 64 * 1024;
    private static readonly string[] Methods = ["GET", "PUT", "POST", "DELETE", "HEAD"];

    public static Task GetAsync(S3Call call) => call.BucketRecord.Metadata.TryGetValue(Key, out var stored)
        ? call.XmlAsync(200, XElement.Parse(stored))
        : throw NotFound();

    public static async Task PutAsync(S3Call call)
    {
        var rules = Read(await call.ReadXmlAsync());
        if (rules.Count is 0 or > MaxRules || rules.Any(rule => !rule.IsValid))
        {
            throw S3Fault.MalformedXml();
        }
        foreach (var method in rules.SelectMany(rule => rule.Methods))
        {
            if (!Methods.Contains(method))
            {
                throw S3Fault.InvalidRequest($"Found unsupported HTTP method in CORS config. Unsupported method is {method}");
            }
        }
        var stored = Element("CORSConfiguration", rules.Select(rule => rule.ToXml())).ToString(SaveOptions.DisableFormatting);
        await S3Settings.SetAsync(call, Key, stored.Length <= MaxChars ? stored : throw S3Fault.InvalidRequest("The CORS configuration is too large."));
        await call.EmptyAsync(200);
    }

    public static async Task DeleteAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, Key, null);
        await call.EmptyAsync(204);
    }

    /// <summary>Answers OPTIONS; needs no signature, as browsers send none.</summary>
    public static async Task PreflightAsync(S3Call call)
    {
        if (call.Header("Origin") is not { } origin || call.Header("Access-Control-Request-Method") is not { } method)
        {
            throw new S3Fault(400, "BadRequest", "Insufficient information. Origin request header needed.");
        }
        var headers = (call.Header("Access-Control-Request-Headers") ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var rule = call.FoundBucket is { } bucket ? RulesOf(bucket).FirstOrDefault(item => item.Allows(origin, method) && headers.All(item.AllowsHeader)) : null;
        if (rule is null)
        {
            throw new S3Fault(403, "AccessForbidden", "CORSResponse: This CORS request is not allowed.");
        }
        Write(call, rule, origin);
        if (headers.Length > 0)
        {
            call.Reply("Access-Control-Allow-Headers", string.Join(", ", headers.Select(name => name.ToLowerInvariant())));
        }
        await call.EmptyAsync(200);
    }

    /// <summary>Lets the script that asked see the answer, whatever it will be.</summary>
    public static void Apply(S3Call call)
    {
        if (call.FoundBucket is { } bucket && call.Header("Origin") is { } origin && bucket.Metadata.ContainsKey(Key) &&
            RulesOf(bucket).FirstOrDefault(item => item.Allows(origin, call.Http.Request.Method)) is { } rule)
        {
            Write(call, rule, origin);
        }
    }

    private static void Write(S3Call call, Rule rule, string origin)
    {
        var any = rule.Origins.Contains("*");
        call.Reply("Access-Control-Allow-Origin", any ? "*" : origin);
        call.Reply("Access-Control-Allow-Methods", string.Join(", ", rule.Methods));
        call.Reply("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
        if (!any)
        {
            call.Reply("Access-Control-Allow-Credentials", "true");
        }
        if (rule.Exposed.Count > 0)
        {
            call.Reply("Access-Control-Expose-Headers", string.Join(", ", rule.Exposed));
        }
        if (rule.MaxAgeSeconds is { } age)
        {
            call.Reply("Access-Control-Max-Age", age.ToString(CultureInfo.InvariantCulture));
        }
    }

    private static List<Rule> RulesOf(BucketRecord bucket)
    {
        try
        {
            return bucket.Metadata.TryGetValue(Key, out var stored) ? Read(XElement.Parse(stored)) : [];
        }
        catch (XmlException)
        {
            return [];
        }
    }

    internal static List<Rule> Read(XElement configuration) => [.. configuration.Elements().Where(element => element.Name.LocalName == "CORSRule").Select(rule =>
    {
        List<string> All(string name) => [.. rule.Elements().Where(element => element.Name.LocalName == name).Select(element => element.Value.Trim())];
        return new Rule(
            rule.Child("ID")?.Value, All("AllowedOrigin"), All("AllowedMethod"), All("AllowedHeader"), All("ExposeHeader"),
            rule.Child("MaxAgeSeconds")?.Value is not { } age ? null
                : int.TryParse(age, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? seconds : throw S3Fault.MalformedXml());
    })];

    private static S3Fault NotFound() => new(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist");

    internal sealed record Rule(string? Id, List<string> Origins, List<string> Methods, List<string> Headers, List<string> Exposed, int? MaxAgeSeconds)
    {
        public bool IsValid => Origins.Count > 0 && Methods.Count > 0 && Origins.Concat(Headers).All(text => text.Count(c => c == '*') <= 1);

        public bool Allows(string origin, string method) => Methods.Contains(method) && Origins.Any(pattern => Matches(origin, pattern));

        public bool AllowsHeader(string name) => Headers.Any(pattern => Matches(name.ToLowerInvariant(), pattern.ToLowerInvariant()));

        public XElement ToXml() => Element("CORSRule",
            Id is null ? null : Element("ID", Id),
            Methods.Select(method => Element("AllowedMethod", method)),
            Origins.Select(origin => Element("AllowedOrigin", origin)),
            Headers.Select(header => Element("AllowedHeader", header)),
            Exposed.Select(header => Element("ExposeHeader", header)),
            MaxAgeSeconds is { } age ? Element("MaxAgeSeconds", age) : null);

        private static bool Matches(string text, string pattern) => S3Policy.Like(text, pattern.Replace('?', '\u0001'));
    }
}
