using System.Globalization;
using System.Xml.Linq;
using Nephos.Client.Objects;
using static Nephos.ObjectStorage.S3.S3Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>One rule of a lifecycle.</summary>
/// <param name="Days">A current object ends so many days after its last change, at the midnight (UTC) that follows.</param>
/// <param name="Date">Every current object ends from this midnight on.</param>
/// <param name="ExpiresMarkers">A delete marker with nothing behind it goes.</param>
/// <param name="NoncurrentDays">An older version goes so many days after it was replaced.</param>
/// <param name="NewerNoncurrentKept">So many of the newest older versions stay, whatever their age.</param>
/// <param name="AbortDays">An upload that was not completed is aborted so many days after its start.</param>
internal sealed record LifecycleRule(
    string Id, bool IsEnabled, LifecycleFilter Filter, int? Days, DateTimeOffset? Date, bool ExpiresMarkers, int? NoncurrentDays, int NewerNoncurrentKept, int? AbortDays)
{
    private const int MaxIdChars = 255;
    private const int MaxKept = 100;

    /// <summary>So many days later, at the midnight that follows.</summary>
    public static DateTimeOffset After(DateTimeOffset time, int days)
    {
        var later = time.UtcDateTime.AddDays(days);
        return new DateTimeOffset(later.TimeOfDay == TimeSpan.Zero ? later : later.Date.AddDays(1), TimeSpan.Zero);
    }

    /// <summary>When the rule ends a current object, its filter aside; null when it does not.</summary>
    public DateTimeOffset? ExpirationOf(ObjectSummary current) => Days is { } days ? After(current.Modified, days) : Date;

    public static LifecycleRule Read(XElement element, string fallbackId)
    {
        foreach (var child in element.Elements())
        {
            switch (child.Name.LocalName)
            {
                case "ID" or "Status" or "Filter" or "Prefix" or "Expiration" or "NoncurrentVersionExpiration" or "AbortIncompleteMultipartUpload":
                    break;
                case "Transition" or "NoncurrentVersionTransition":
                    // There is one storage class; nothing could be moved.
                    throw S3Fault.NotImplemented("A transition to another storage class");
                default:
                    throw S3Fault.MalformedXml();
            }
        }
        var (expiration, noncurrent, abort) = (element.Child("Expiration"), element.Child("NoncurrentVersionExpiration"), element.Child("AbortIncompleteMultipartUpload"));
        var rule = new LifecycleRule(
            element.Child("ID")?.Value is { Length: > 0 } id ? id : fallbackId,
            element.Child("Status")?.Value switch { "Enabled" => true, "Disabled" => false, _ => throw S3Fault.MalformedXml() },
            LifecycleFilter.Read(element),
            DaysOf(expiration?.Child("Days")),
            DateOf(expiration?.Child("Date")),
            expiration?.Child("ExpiredObjectDeleteMarker")?.Value.Trim() == "true",
            DaysOf(noncurrent?.Child("NoncurrentDays")),
            noncurrent?.Child("NewerNoncurrentVersions") is { } kept ? Number(kept, MaxKept) : 0,
            DaysOf(abort?.Child("DaysAfterInitiation")));
        rule.Check(expiration is not null, noncurrent is not null, abort is not null);
        return rule;
    }

    public XElement ToXml() => Element("Rule",
        Element("ID", Id),
        Filter.ToXml(),
        Element("Status", IsEnabled ? "Enabled" : "Disabled"),
        Days is null && Date is null && !ExpiresMarkers ? null : Element("Expiration",
            Days is { } days ? Element("Days", days) : null,
            Date is { } date ? Element("Date", Iso(date)) : null,
            ExpiresMarkers ? Element("ExpiredObjectDeleteMarker", true) : null),
        NoncurrentDays is { } noncurrent ? Element("NoncurrentVersionExpiration",
            Element("NoncurrentDays", noncurrent),
            NewerNoncurrentKept > 0 ? Element("NewerNoncurrentVersions", NewerNoncurrentKept) : null) : null,
        AbortDays is { } abort ? Element("AbortIncompleteMultipartUpload", Element("DaysAfterInitiation", abort)) : null);

    private void Check(bool hasExpiration, bool hasNoncurrent, bool hasAbort)
    {
        if (Id.Length > MaxIdChars)
        {
            throw S3Fault.InvalidArgument($"ID length should not exceed allowed limit of {MaxIdChars}");
        }
        if (!hasExpiration && !hasNoncurrent && !hasAbort)
        {
            throw S3Fault.InvalidRequest("At least one action needs to be specified in a rule");
        }
        if ((hasExpiration && (Days is not null ? 1 : 0) + (Date is not null ? 1 : 0) + (ExpiresMarkers ? 1 : 0) != 1) || (hasNoncurrent && NoncurrentDays is null) || (hasAbort && AbortDays is null))
        {
            throw S3Fault.MalformedXml();
        }
        if (ExpiresMarkers && (Filter.Tags.Count > 0 || Filter.HasSize))
        {
            throw S3Fault.InvalidRequest("ExpiredObjectDeleteMarker cannot be specified with a filter by tags or size.");
        }
        if (AbortDays is not null && (Filter.Tags.Count > 0 || Filter.HasSize))
        {
            throw S3Fault.InvalidRequest("AbortIncompleteMultipartUpload cannot be specified with a filter by tags or size.");
        }
    }

    private static int? DaysOf(XElement? element) => element is null ? null
        : Number(element, int.MaxValue / 2) is > 0 and var days ? days
        : throw S3Fault.InvalidArgument($"'{element.Name.LocalName}' for a lifecycle action must be a positive integer");

    private static DateTimeOffset? DateOf(XElement? element)
    {
        if (element is null)
        {
            return null;
        }
        return S3Text.Date(element.Value.Trim()) is not { } date ? throw S3Fault.MalformedXml()
            : date.UtcDateTime.TimeOfDay == TimeSpan.Zero ? date.ToUniversalTime()
            : throw S3Fault.InvalidArgument("'Date' must be at midnight GMT");
    }

    private static int Number(XElement element, int max) =>
        int.TryParse(element.Value.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value <= max
            ? value
            : throw S3Fault.InvalidArgument($"'{element.Name.LocalName}' must be a whole number of at most {max}");
}

/// <summary>Which objects a rule is about. All that is named must hold.</summary>
/// <param name="LargerThan">In bytes; exclusive, as is <paramref name="SmallerThan"/>.</param>
internal sealed record LifecycleFilter(string Prefix, IReadOnlyList<(string Name, string Value)> Tags, long? LargerThan, long? SmallerThan)
{
    public bool HasSize => LargerThan is not null || SmallerThan is not null;

    /// <summary>All that a listing can tell; tags are not in it.</summary>
    public bool Covers(ObjectSummary item) =>
        item.Key.StartsWith(Prefix, StringComparison.Ordinal) && !(item.SizeBytes <= LargerThan) && !(item.SizeBytes >= SmallerThan);

    public bool CoversTags(ObjectRecord record) => Tags.Count == 0 || Tags.All(S3Tags.Read(record.SystemMetadata.GetValueOrDefault(S3Tags.Key, "")).Contains);

    public static LifecycleFilter Read(XElement rule)
    {
        var filter = rule.Child("Filter");
        if ((filter is null) == (rule.Child("Prefix") is null))
        {
            throw S3Fault.MalformedXml();
        }
        if (filter is null)
        {
            return new LifecycleFilter(rule.Child("Prefix")!.Value, [], null, null);
        }
        var parts = filter.Child("And") ?? filter;
        if (parts == filter && filter.Elements().Count() > 1)
        {
            throw S3Fault.MalformedXml();
        }
        var tags = parts.Elements().Where(element => element.Name.LocalName == "Tag")
            .Select(tag => (tag.Child("Key")?.Value ?? throw S3Fault.MalformedXml(), tag.Child("Value")?.Value ?? throw S3Fault.MalformedXml())).ToList();
        var (larger, smaller) = (SizeOf(parts.Child("ObjectSizeGreaterThan")), SizeOf(parts.Child("ObjectSizeLessThan")));
        return parts.Elements().All(element => element.Name.LocalName is "Prefix" or "Tag" or "ObjectSizeGreaterThan" or "ObjectSizeLessThan") && !(larger >= smaller)
            ? new LifecycleFilter(parts.Child("Prefix")?.Value ?? "", tags, larger, smaller)
            : throw S3Fault.MalformedXml();
    }

    public XElement ToXml()
    {
        var parts = new List<XElement>();
        if (Prefix.Length > 0)
        {
            parts.Add(Element("Prefix", Prefix));
        }
        parts.AddRange(Tags.Select(tag => Element("Tag", Element("Key", tag.Name), Element("Value", tag.Value))));
        if (LargerThan is { } larger)
        {
            parts.Add(Element("ObjectSizeGreaterThan", larger));
        }
        if (SmallerThan is { } smaller)
        {
            parts.Add(Element("ObjectSizeLessThan", smaller));
        }
        return Element("Filter", parts.Count switch { 0 => Element("Prefix", ""), 1 => parts[0], _ => Element("And", parts) });
    }

    private static long? SizeOf(XElement? element) => element is null ? null
        : long.TryParse(element.Value.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : throw S3Fault.MalformedXml();
}
