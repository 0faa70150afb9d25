using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Nephos.Hosting.Rest;

/// <summary>JSON from strangers. What is parsed can be used: every name is there once, and every text in it is Unicode.</summary>
/// <remarks>The platform looks at texts only when they are asked for, and throws something else then.</remarks>
public static class StrictJson
{
    /// <exception cref="JsonException">It is not JSON, nested too deep, names something twice, or holds a text that is no Unicode.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8, int maxDepth)
    {
        if (!Utf8.IsValid(utf8))
        {
            throw new JsonException("it is not UTF-8");
        }
        try
        {
            var node = JsonNode.Parse(utf8, documentOptions: new JsonDocumentOptions { MaxDepth = maxDepth, AllowDuplicateProperties = false });
            if (utf8.IndexOf("\\u"u8) >= 0)
            {
                // Half a pair of surrogates can be written as an escape only.
                ReadTexts(node);
            }
            return node;
        }
        catch (InvalidOperationException exception)
        {
            throw new JsonException("an escape stands for half a character", exception);
        }
    }

    private static void ReadTexts(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject item:
                foreach (var (_, value) in item)
                {
                    ReadTexts(value);
                }
                break;
            case JsonArray items:
                foreach (var value in items)
                {
                    ReadTexts(value);
                }
                break;
            case JsonValue value when value.GetValueKind() == JsonValueKind.String:
                _ = value.GetValue<string>();
                break;
        }
    }
}
