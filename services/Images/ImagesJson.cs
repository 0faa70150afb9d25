using System.Text.Json.Serialization;
using Nephos.Images.Catalog;
using Nephos.Images.Metadefs;

namespace Nephos.Images;

/// <summary>How the records of this service are written.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Image))]
[JsonSerializable(typeof(ProjectUsage))]
[JsonSerializable(typeof(UploadMark))]
[JsonSerializable(typeof(DoomedData))]
[JsonSerializable(typeof(MetadefNamespace))]
internal sealed partial class ImagesJson : JsonSerializerContext;
