using System.Collections.Immutable;
using System.Globalization;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Object lock: versions that cannot be removed before their time, or while a legal hold is on them.</summary>
internal static class S3Lock
{
    /// <summary>Setting of the bucket: <c>on</c>, or <c>on MODE days</c> with a default for new objects.</summary>
    public const string BucketKey = "s3.lock";

    public const string ModeKey = "lock.mode";
    public const string UntilKey = "lock.until";
    public const string HoldKey = "lock.hold";
    private const string Governance = "GOVERNANCE";
    private const string Compliance = "COMPLIANCE";
    private const int MaxDays = 36_500;

    public static bool IsEnabled(BucketRecord bucket) => bucket.Metadata.ContainsKey(BucketKey);

    public static async Task GetConfigurationAsync(S3Call call)
    {
        var stored = call.BucketRecord.Metadata.GetValueOrDefault(BucketKey) ??
            throw new S3Fault(404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket");
        await call.XmlAsync(200, Element("ObjectLockConfiguration",
            Element("ObjectLockEnabled", "Enabled"),
            stored.Split(' ') is [_, var mode, var days] ? Element("Rule", Element("DefaultRetention", Element("Mode", mode), Element("Days", days))) : null));
    }

    public static async Task PutConfigurationAsync(S3Call call)
    {
        var xml = await call.ReadXmlAsync();
        if (xml.Child("ObjectLockEnabled")?.Value != "Enabled")
        {
            throw S3Fault.MalformedXml();
        }
        var stored = "on";
        if (xml.Child("Rule")?.Child("DefaultRetention") is { } retention)
        {
            var mode = ModeOf(retention.Child("Mode")?.Value);
            var days = (Number(retention.Child("Days")), Number(retention.Child("Years"))) switch
            {
                ({ } count, null) => count,
                (null, { } years) => years * 365,
                _ => throw S3Fault.MalformedXml(),
            };
            stored = days is >= 1 and <= MaxDays
                ? string.Create(CultureInfo.InvariantCulture, $"on {mode} {days}")
                : throw S3Fault.InvalidArgument($"Default retention period must be 1 to {MaxDays} days");
        }
        if (call.BucketRecord.Versioning != BucketVersioning.Enabled)
        {
            throw new S3Fault(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration");
        }
        await S3Settings.SetAsync(call, BucketKey, stored);
        await call.EmptyAsync(200);
    }

    public static async Task GetRetentionAsync(S3Call call)
    {
        RequireEnabled(call);
        var metadata = (await S3Settings.FindAsync(call)).SystemMetadata;
        if (!metadata.TryGetValue(ModeKey, out var mode))
        {
            throw new S3Fault(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration");
        }
        await call.XmlAsync(200, Element("Retention", Element("Mode", mode), Element("RetainUntilDate", metadata[UntilKey])));
    }

    public static async Task PutRetentionAsync(S3Call call)
    {
        RequireEnabled(call);
        var xml = await call.ReadXmlAsync();
        var removes = !xml.HasElements;
        var (mode, until) = removes ? ("", "") : (ModeOf(xml.Child("Mode")?.Value), DateOf(call, xml.Child("RetainUntilDate")?.Value));
        await S3Settings.ChangeObjectAsync(call, metadata =>
        {
            // What is locked may be locked for longer; anything else is loosening it.
            var loosens = removes || string.CompareOrdinal(until, metadata.GetValueOrDefault(UntilKey, "")) < 0 ||
                (mode == Governance && metadata.GetValueOrDefault(ModeKey) == Compliance);
            if (loosens && IsRetained(metadata, call.Now) && !MayBypass(call, metadata))
            {
                throw S3Fault.AccessDenied("Access Denied because object protected by object lock.");
            }
            return removes ? metadata.Remove(ModeKey).Remove(UntilKey) : metadata.SetItem(ModeKey, mode).SetItem(UntilKey, until);
        });
        await call.EmptyAsync(200);
    }

    public static async Task GetLegalHoldAsync(S3Call call)
    {
        RequireEnabled(call);
        var metadata = (await S3Settings.FindAsync(call)).SystemMetadata;
        await call.XmlAsync(200, Element("LegalHold", Element("Status", metadata.GetValueOrDefault(HoldKey, "OFF"))));
    }

    public static async Task PutLegalHoldAsync(S3Call call)
    {
        RequireEnabled(call);
        var status = HoldOf((await call.ReadXmlAsync()).Child("Status")?.Value);
        await S3Settings.ChangeObjectAsync(call, metadata => status == "ON" ? metadata.SetItem(HoldKey, status) : metadata.Remove(HoldKey));
        await call.EmptyAsync(200);
    }

    /// <summary>Adds what a put's headers or the bucket's default say to a new object.</summary>
    public static ImmutableSortedDictionary<string, string> Apply(S3Call call, ImmutableSortedDictionary<string, string> metadata)
    {
        var (mode, until, hold) = (call.Header("x-amz-object-lock-mode"), call.Header("x-amz-object-lock-retain-until-date"), call.Header("x-amz-object-lock-legal-hold"));
        var stored = call.BucketRecord.Metadata.GetValueOrDefault(BucketKey);
        if (stored is null)
        {
            return mode is null && until is null && hold is null ? metadata : throw S3Fault.InvalidRequest("Bucket is missing Object Lock Configuration");
        }
        if ((mode is null) != (until is null))
        {
            throw S3Fault.InvalidArgument("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied");
        }
        if (mode is not null)
        {
            metadata = metadata.SetItem(ModeKey, ModeOf(mode)).SetItem(UntilKey, DateOf(call, until));
        }
        else if (stored.Split(' ') is [_, var fallback, var days])
        {
            metadata = metadata.SetItem(ModeKey, fallback).SetItem(UntilKey, Iso(call.Now.AddDays(int.Parse(days, CultureInfo.InvariantCulture))));
        }
        return hold is not null && HoldOf(hold) == "ON" ? metadata.SetItem(HoldKey, "ON") : metadata;
    }

    /// <exception cref="S3Fault">AccessDenied while the version may not be removed.</exception>
    public static void RequireRemovable(S3Call call, ObjectRecord record)
    {
        if (!IsRemovable(record, call.Now) && !(record.SystemMetadata.GetValueOrDefault(HoldKey) != "ON" && MayBypass(call, record.SystemMetadata)))
        {
            throw S3Fault.AccessDenied("Access Denied because object protected by object lock.");
        }
    }

    /// <summary>Neither a legal hold nor a retention that still runs is on the version.</summary>
    public static bool IsRemovable(ObjectRecord record, DateTimeOffset now) =>
        record.SystemMetadata.GetValueOrDefault(HoldKey) != "ON" && !IsRetained(record.SystemMetadata, now);

    public static void WriteHeaders(S3Call call, ObjectRecord record)
    {
        foreach (var (key, header) in new[]
        {
            (ModeKey, "x-amz-object-lock-mode"), (UntilKey, "x-amz-object-lock-retain-until-date"), (HoldKey, "x-amz-object-lock-legal-hold"),
        })
        {
            if (record.SystemMetadata.TryGetValue(key, out var value))
            {
                call.Reply(header, value);
            }
        }
    }

    private static bool IsRetained(ImmutableSortedDictionary<string, string> metadata, DateTimeOffset now) =>
        metadata.TryGetValue(UntilKey, out var until) && string.CompareOrdinal(until, Iso(now)) > 0;

    private static bool MayBypass(S3Call call, ImmutableSortedDictionary<string, string> metadata) =>
        metadata.GetValueOrDefault(ModeKey) == Governance && S3Access.Owns(call, "s3:BypassGovernanceRetention") &&
        "true".Equals(call.Header("x-amz-bypass-governance-retention"), StringComparison.OrdinalIgnoreCase);

    private static void RequireEnabled(S3Call call)
    {
        if (!IsEnabled(call.BucketRecord))
        {
            throw S3Fault.InvalidRequest("Bucket is missing Object Lock Configuration");
        }
    }

    private static string ModeOf(string? text) => text is Governance or Compliance ? text : throw S3Fault.MalformedXml();

    private static string HoldOf(string? text) => text is "ON" or "OFF" ? text : throw S3Fault.MalformedXml();

    private static string DateOf(S3Call call, string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date) && date > call.Now && date < call.Now.AddDays(MaxDays)
            ? Iso(date)
            : throw S3Fault.InvalidArgument("The retain until date must be in the future!");

    private static int? Number(XElement? element) => element is null ? null
        : int.TryParse(element.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value < MaxDays ? value : throw S3Fault.MalformedXml();
}
