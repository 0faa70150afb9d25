using System.Collections.Concurrent;
using System.Globalization;
using System.Xml.Linq;
using Nephos.Client.Objects;
using Nephos.ObjectStorage.Buckets;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>The lifecycle of a bucket: rules by which objects, older versions and unfinished uploads end. <see cref="LifecycleWorker"/> carries them out.</summary>
internal static class S3Lifecycle
{
    public const string Key = "s3.lifecycle";
    private const int MaxRules = 1000;
    private const int MaxChars = 256 * 1024;
    private const int MaxKnown = 1000;
    private static readonly ConcurrentDictionary<(ulong Bucket, ulong Generation), IReadOnlyList<LifecycleRule>> Known = new();

    public static bool IsSet(BucketRecord bucket) => bucket.Metadata.ContainsKey(Key);

    public static Task GetAsync(S3Call call) => call.BucketRecord.Metadata.TryGetValue(Key, out var stored)
        ? call.XmlAsync(200, XElement.Parse(stored))
        : throw new S3Fault(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist");

    public static async Task PutAsync(S3Call call)
    {
        var rules = Read(await call.ReadXmlAsync());
        var stored = Element("LifecycleConfiguration", rules.Select(rule => rule.ToXml())).ToString(SaveOptions.DisableFormatting);
        if (stored.Length > MaxChars)
        {
            throw S3Fault.InvalidRequest("The lifecycle configuration is too large.");
        }
        await BucketWatch.AddAsync(call.Engine, call.Bucket, call.Now, call.Cancelled);
        await S3Settings.SetAsync(call, Key, stored);
        await call.EmptyAsync(200);
    }

    public static async Task DeleteAsync(S3Call call)
    {
        await S3Settings.SetAsync(call, Key, null);
        await call.EmptyAsync(204);
    }

    /// <summary>The rules that are in force.</summary>
    public static IReadOnlyList<LifecycleRule> RulesOf(BucketRecord bucket)
    {
        if (!bucket.Metadata.TryGetValue(Key, out var stored))
        {
            return [];
        }
        if (Known.Count >= MaxKnown)
        {
            Known.Clear();
        }
        return Known.GetOrAdd((bucket.Uid, bucket.Generation), static (_, text) => [.. Read(XElement.Parse(text)).Where(rule => rule.IsEnabled)], stored);
    }

    /// <summary>Tells when a current object will end: at its own time, or by the rule that comes first.</summary>
    public static void WriteExpiration(S3Call call, ObjectRecord record)
    {
        var (expires, id) = (record.Expires, "object");
        if (record.IsLatest && call.FoundBucket is { } bucket)
        {
            foreach (var rule in RulesOf(bucket))
            {
                if (rule.ExpirationOf(record) is { } time && (expires is null || time < expires) && rule.Filter.Covers(record) && rule.Filter.CoversTags(record))
                {
                    (expires, id) = (time, rule.Id);
                }
            }
        }
        if (expires is { } end)
        {
            call.Reply("x-amz-expiration", $"expiry-date=\"{HttpDate(end)}\", rule-id=\"{Uri.EscapeDataString(id)}\"");
        }
    }

    /// <summary>Tells when an upload will be aborted if it is not completed.</summary>
    public static void WriteAbortion(S3Call call, ObjectRecord record)
    {
        var first = RulesOf(call.BucketRecord)
            .Where(rule => rule.AbortDays is not null && rule.Filter.Covers(record))
            .Select(rule => (At: LifecycleRule.After(call.Now, rule.AbortDays!.Value), rule.Id))
            .OrderBy(item => item.At).FirstOrDefault();
        if (first.Id is not null)
        {
            call.Reply("x-amz-abort-date", HttpDate(first.At));
            call.Reply("x-amz-abort-rule-id", Uri.EscapeDataString(first.Id));
        }
    }

    /// <exception cref="S3Fault">What is wrong with the document.</exception>
    public static List<LifecycleRule> Read(XElement configuration)
    {
        var rules = configuration.Elements().Select((element, index) =>
            element.Name.LocalName == "Rule" ? LifecycleRule.Read(element, string.Create(CultureInfo.InvariantCulture, $"rule-{index + 1}")) : throw S3Fault.MalformedXml()).ToList();
        if (configuration.Name.LocalName != "LifecycleConfiguration" || rules.Count is 0 or > MaxRules)
        {
            throw S3Fault.MalformedXml();
        }
        return rules.Select(rule => rule.Id).Distinct(StringComparer.Ordinal).Count() == rules.Count
            ? rules
            : throw S3Fault.InvalidArgument("Rule ID must be unique. Found same ID for more than one rule");
    }
}
