using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects.Namespace;

/// <summary>How requests to shards and their results travel between processes.</summary>
[JsonSourceGenerationOptions(
    IncludeFields = true, IgnoreReadOnlyProperties = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(OrdinalMapConverter), typeof(TextArrayConverter)])]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(bool))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(EngineStatus))]
[JsonSerializable(typeof(BlobId))]
[JsonSerializable(typeof(BucketName))]
[JsonSerializable(typeof(AccountUpdate))]
[JsonSerializable(typeof(BucketRecord))]
[JsonSerializable(typeof(BucketUpdate))]
[JsonSerializable(typeof(ListBuckets))]
[JsonSerializable(typeof(PutObject))]
[JsonSerializable(typeof(ObjectQuery))]
[JsonSerializable(typeof(UpdateObject))]
[JsonSerializable(typeof(DeleteObject))]
[JsonSerializable(typeof(ListObjects))]
[JsonSerializable(typeof(ListChanges))]
[JsonSerializable(typeof(Outcome<ChangePage>))]
[JsonSerializable(typeof(StartUpload))]
[JsonSerializable(typeof(UploadQuery))]
[JsonSerializable(typeof(PartWrite))]
[JsonSerializable(typeof(PartQuery))]
[JsonSerializable(typeof(CompleteUpload))]
[JsonSerializable(typeof(ListUploads))]
[JsonSerializable(typeof(ReferenceQuery))]
[JsonSerializable(typeof(RowImport))]
[JsonSerializable(typeof(ImmutableArray<Extent>))]
[JsonSerializable(typeof(Outcome<AccountRecord>))]
[JsonSerializable(typeof(Outcome<BucketRecord>))]
[JsonSerializable(typeof(Outcome<BucketPage>))]
[JsonSerializable(typeof(Outcome<ObjectRecord>))]
[JsonSerializable(typeof(Outcome<DeleteOutcome>))]
[JsonSerializable(typeof(Outcome<ObjectPage>))]
[JsonSerializable(typeof(Outcome<UploadRecord>))]
[JsonSerializable(typeof(Outcome<PartRecord>))]
[JsonSerializable(typeof(Outcome<PartPage>))]
[JsonSerializable(typeof(Outcome<UploadPage>))]
internal sealed partial class NamespaceJson : JsonSerializerContext;

/// <summary>Maps keep their names in the order of the bytes, whatever the culture.</summary>
internal sealed class OrdinalMapConverter : JsonConverter<ImmutableSortedDictionary<string, string>>
{
    public override ImmutableSortedDictionary<string, string> Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        var map = RecordMetadata.Empty.ToBuilder();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            map[name] = reader.GetString() ?? "";
        }

        return map.ToImmutable();
    }

    public override void Write(Utf8JsonWriter writer, ImmutableSortedDictionary<string, string> value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        foreach (var (name, text) in value)
        {
            writer.WriteString(name, text);
        }

        writer.WriteEndObject();
    }
}

/// <summary>Lists of texts; one that was never set is empty.</summary>
internal sealed class TextArrayConverter : JsonConverter<ImmutableArray<string>>
{
    public override ImmutableArray<string> Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
    {
        var texts = ImmutableArray.CreateBuilder<string>();
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
        {
            texts.Add(reader.GetString()!);
        }

        return texts.ToImmutable();
    }

    public override void Write(Utf8JsonWriter writer, ImmutableArray<string> value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        foreach (var text in value.IsDefault ? [] : value)
        {
            writer.WriteStringValue(text);
        }

        writer.WriteEndArray();
    }
}
