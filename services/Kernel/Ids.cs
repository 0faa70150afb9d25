namespace Nephos.Kernel;

/// <summary>The two spellings of ids that OpenStack clients know.</summary>
public static class Ids
{
    /// <summary>A random UUID with dashes: images, servers, networks, volumes.</summary>
    public static string NewUuid() => Guid.NewGuid().ToString("D");

    /// <summary>A random UUID as 32 hex digits: identity objects.</summary>
    public static string NewHex() => Guid.NewGuid().ToString("N");

    public static bool IsUuid(string text) => text.Length == 36 && Guid.TryParseExact(text, "D", out _);

    public static bool IsHex(string text) => text.Length == 32 && Guid.TryParseExact(text, "N", out _);
}
