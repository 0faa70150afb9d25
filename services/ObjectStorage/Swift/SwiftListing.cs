using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Xml;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Swift;

/// <summary>The parameters of a listing, and its three forms.</summary>
internal sealed record SwiftListing
{
    public const int MaxLimit = 10_000;

    private static readonly JsonWriterOptions Options = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonEncodedText BytesName = JsonEncodedText.Encode("bytes");
    private static readonly JsonEncodedText HashName = JsonEncodedText.Encode("hash");
    private static readonly JsonEncodedText NameName = JsonEncodedText.Encode("name");
    private static readonly JsonEncodedText TypeName = JsonEncodedText.Encode("content_type");
    private static readonly JsonEncodedText ModifiedName = JsonEncodedText.Encode("last_modified");

    /// <summary>About so many bytes make an entry in JSON; more are taken as needed.</summary>
    private const int EntryBytes = 192;

    public required string Format { get; init; }
    public string Prefix { get; init; } = "";
    public string Delimiter { get; init; } = "";
    public string Marker { get; init; } = "";
    public string EndMarker { get; init; } = "";
    public int Limit { get; init; } = MaxLimit;
    public bool Reverse { get; init; }

    /// <summary>All versions, each with its id.</summary>
    public bool Versions { get; init; }

    public VersionId? VersionMarker { get; init; }

    public string ContentType => Format switch
    {
        "json" => "application/json; charset=utf-8",
        "xml" => "application/xml; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };

    /// <exception cref="SwiftFault">412 for a limit beyond the bound, 400 for a parameter that is not a number.</exception>
    public static SwiftListing Parse(SwiftCall call)
    {
        var limit = MaxLimit;
        if (call.Query("limit") is { Length: > 0 } text)
        {
            if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit))
            {
                limit = MaxLimit;
            }
            if (limit > MaxLimit)
            {
                throw new SwiftFault(412, $"Maximum limit is {MaxLimit}", plain: true);
            }
        }
        var listing = new SwiftListing
        {
            Format = FormatOf(call),
            Prefix = call.Query("prefix") ?? "",
            Delimiter = call.Query("delimiter") ?? "",
            Marker = call.Query("marker") ?? "",
            EndMarker = call.Query("end_marker") ?? "",
            Limit = limit,
            Reverse = call.Query("reverse") is "true" or "True" or "1" or "yes" or "on" or "t" or "y",
        };
        if (call.Query("versions") is not null)
        {
            listing = listing with
            {
                Versions = true,
                Reverse = listing.Reverse ? throw SwiftFault.BadRequest("A listing of versions cannot be reversed") : false,
                VersionMarker = call.Query("version_marker") is not { Length: > 0 } marker ? null
                    : VersionId.TryParse(marker, out var version) ? version : throw SwiftFault.BadRequest("Invalid version_marker"),
            };
        }
        if (call.Query("path") is { } path)
        {
            listing = listing with { Prefix = path.Length > 0 ? path.TrimEnd('/') + "/" : "", Delimiter = "/" };
        }
        if (call.Query("format") is null)
        {
            call.Reply("Vary", "Accept");
        }
        return listing;
    }

    public async Task WriteContainersAsync(SwiftCall call, string account, IReadOnlyList<BucketEntry> entries)
    {
        var body = Format switch
        {
            "json" => Json(entries.Count, writer =>
            {
                foreach (var entry in entries)
                {
                    writer.WriteStartObject();
                    if (entry.Bucket is { } bucket)
                    {
                        writer.WriteString("name", entry.Name);
                        writer.WriteNumber("count", bucket.Usage.Objects);
                        writer.WriteNumber("bytes", bucket.Usage.Bytes);
                        writer.WriteString("last_modified", SwiftTime.Iso(bucket.Modified));
                    }
                    else
                    {
                        writer.WriteString("subdir", entry.Name);
                    }
                    writer.WriteEndObject();
                }
            }),
            "xml" => Xml("account", account, writer =>
            {
                foreach (var entry in entries)
                {
                    if (entry.Bucket is not { } bucket)
                    {
                        Subdir(writer, entry.Name);
                        continue;
                    }
                    writer.WriteStartElement("container");
                    writer.WriteElementString("name", entry.Name);
                    writer.WriteElementString("count", XmlConvert.ToString(bucket.Usage.Objects));
                    writer.WriteElementString("bytes", XmlConvert.ToString(bucket.Usage.Bytes));
                    writer.WriteElementString("last_modified", SwiftTime.Iso(bucket.Modified));
                    writer.WriteEndElement();
                }
            }),
            _ => Plain(entries.Select(entry => entry.Name)),
        };
        await WriteAsync(call, body);
    }

    public async Task WriteObjectsAsync(SwiftCall call, string container, IReadOnlyList<ListEntry> entries, bool leavesOutPrefixes)
    {
        var shown = leavesOutPrefixes ? [.. entries.Where(entry => !entry.IsPrefix && entry.Name != Prefix)] : entries;
        var body = Format switch
        {
            "json" => Json(shown.Count, writer =>
            {
                Span<byte> time = stackalloc byte[SwiftTime.IsoBufferBytes];
                foreach (var entry in shown)
                {
                    writer.WriteStartObject();
                    if (entry.Object is { } found)
                    {
                        writer.WriteNumber(BytesName, SwiftLargeObjects.ListedSize(found));
                        writer.WriteString(HashName, SwiftLargeObjects.ListedHash(found));
                        writer.WriteString(NameName, found.Key);
                        writer.WriteString(TypeName, TypeOf(found));
                        writer.WriteString(ModifiedName, SwiftTime.Iso(found.Modified, time));
                        if (SwiftSymlinks.ListedTarget(found) is { } link)
                        {
                            writer.WriteString("symlink_path", link);
                        }
                        if (Versions)
                        {
                            writer.WriteString("version_id", SwiftVersioning.IdOf(found));
                            writer.WriteBoolean("is_latest", found.IsLatest);
                        }
                        if (SwiftLargeObjects.ListedEtag(found) is { } slo)
                        {
                            writer.WriteString("slo_etag", $"\"{slo}\"");
                        }
                    }
                    else
                    {
                        writer.WriteString("subdir", entry.Name);
                    }
                    writer.WriteEndObject();
                }
            }),
            "xml" => Xml("container", container, writer =>
            {
                foreach (var entry in shown)
                {
                    if (entry.Object is not { } found)
                    {
                        Subdir(writer, entry.Name);
                        continue;
                    }
                    writer.WriteStartElement("object");
                    writer.WriteElementString("name", found.Key);
                    writer.WriteElementString("hash", SwiftLargeObjects.ListedHash(found));
                    writer.WriteElementString("bytes", XmlConvert.ToString(SwiftLargeObjects.ListedSize(found)));
                    writer.WriteElementString("content_type", TypeOf(found));
                    writer.WriteElementString("last_modified", SwiftTime.Iso(found.Modified));
                    writer.WriteEndElement();
                }
            }),
            _ => Plain(shown.Select(entry => entry.Name)),
        };
        await WriteAsync(call, body);
    }

    private static string TypeOf(ObjectSummary found) => found.IsDeleteMarker ? SwiftVersions.DeleteMarkerType : found.ContentType;

    private static string FormatOf(SwiftCall call)
    {
        switch (call.Query("format"))
        {
            case "json":
                return "json";
            case "xml":
                return "xml";
            case not null:
                return "plain";
        }
        return FormatOf(call.Header("Accept") ?? "");
    }

    /// <summary>The format of the first type in an Accept header that there is a format for; quality values do not count.</summary>
    public static string FormatOf(string accept)
    {
        foreach (var item in accept.Split(',', 32))
        {
            switch (item.Split(';')[0].Trim().ToLowerInvariant())
            {
                case "application/json":
                    return "json";
                case "application/xml" or "text/xml":
                    return "xml";
                case "text/plain" or "*/*" or "text/*":
                    return "plain";
            }
        }
        return "plain";
    }

    private Task WriteAsync(SwiftCall call, ReadOnlyMemory<byte> body) =>
        body.IsEmpty ? call.EmptyAsync(204, ContentType) : call.BytesAsync(200, body, ContentType);

    private static ReadOnlyMemory<byte> Plain(IEnumerable<string> names)
    {
        var text = new ArrayBufferWriter<byte>(4096);
        foreach (var name in names)
        {
            Encoding.UTF8.GetBytes(name, text);
            text.Write("\n"u8);
        }
        return text.WrittenMemory;
    }

    private static ReadOnlyMemory<byte> Json(int entries, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(256 + (entries * EntryBytes));
        using var writer = new Utf8JsonWriter(buffer, Options);
        writer.WriteStartArray();
        write(writer);
        writer.WriteEndArray();
        writer.Flush();
        return buffer.WrittenMemory;
    }

    private static ReadOnlyMemory<byte> Xml(string element, string name, Action<XmlWriter> write)
    {
        using var stream = new MemoryStream();
        var settings = new XmlWriterSettings { Encoding = new UTF8Encoding(false), CheckCharacters = false };
        using (var writer = XmlWriter.Create(stream, settings))
        {
            writer.WriteStartElement(element);
            writer.WriteAttributeString("name", name);
            write(writer);
            writer.WriteEndElement();
        }
        return stream.ToArray();
    }

    private static void Subdir(XmlWriter writer, string name)
    {
        writer.WriteStartElement("subdir");
        writer.WriteAttributeString("name", name);
        writer.WriteElementString("name", name);
        writer.WriteEndElement();
    }
}
