using System.Text;

namespace Nephos.ObjectStorage.Swift;

/// <summary>The parts of a Swift path, decoded once: an object's name may hold slashes, doubled ones too.</summary>
/// <param name="Account">As in the path, with its prefix.</param>
/// <param name="Container">Empty when the path names an account.</param>
/// <param name="Object">Empty when the path names a container.</param>
internal readonly record struct SwiftPath(string Account, string Container, string Object)
{
    public const string AccountPrefix = "AUTH_";
    public const int MaxAccountBytes = 256;
    public const int MaxContainerBytes = 256;
    public const int MaxObjectBytes = 1024;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The project behind the account.</summary>
    public string Project => Account[AccountPrefix.Length..];

    /// <summary>Parses what follows <c>/v1/</c> in the raw target, without its query.</summary>
    /// <exception cref="SwiftFault">412 when it is not UTF-8 or holds a NUL; 400 when a name is too long.</exception>
    public static SwiftPath Parse(string raw)
    {
        var parts = raw.Split('/', 3);
        var account = Decode(parts[0]);
        var container = parts.Length > 1 ? Decode(parts[1]) : "";
        var name = parts.Length > 2 ? Decode(parts[2]) : "";
        if (account.Length == 0 || (container.Length == 0 && name.Length > 0))
        {
            throw SwiftFault.NotFound();
        }
        var path = new SwiftPath(account, container, name);
        Check(path);
        return path;
    }

    /// <exception cref="SwiftFault">400 when a name is too long or the container's has a slash.</exception>
    public static void Check(SwiftPath path)
    {
        Bound("Account", path.Account, MaxAccountBytes);
        Bound("Container", path.Container, MaxContainerBytes);
        Bound("Object", path.Object, MaxObjectBytes);
        if (path.Container.Contains('/', StringComparison.Ordinal))
        {
            throw SwiftFault.BadRequest("Container name cannot contain slashes");
        }
    }

    /// <summary>Parses "container/object", as COPY and manifests name their sources.</summary>
    public static (string Container, string Object) ParseSource(string value)
    {
        var decoded = Decode(value.TrimStart('/'));
        var slash = decoded.IndexOf('/', StringComparison.Ordinal);
        return slash <= 0 || slash == decoded.Length - 1
            ? throw new SwiftFault(412, "The source must be of the form <container name>/<object name>", plain: true)
            : (decoded[..slash], decoded[(slash + 1)..]);
    }

    /// <summary>Percent-encodes a name for a header or a URL; slashes stay.</summary>
    public static string Encode(string text) => Uri.EscapeDataString(text).Replace("%2F", "/", StringComparison.Ordinal);

    public static string Decode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal) && Ascii.IsValid(text))
        {
            return text;
        }
        try
        {
            var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length)];
            var count = 0;
            for (var left = text.AsSpan(); !left.IsEmpty;)
            {
                if (left is ['%', _, _, ..] && byte.TryParse(left[1..3], System.Globalization.NumberStyles.AllowHexSpecifier, null, out var value))
                {
                    bytes[count++] = value;
                    left = left[3..];
                    continue;
                }
                // Up to the next escape at once, so that characters of two code units stay whole.
                var plain = left[1..].IndexOf('%') is >= 0 and var next ? left[..(next + 1)] : left;
                count += Encoding.UTF8.GetBytes(plain, bytes.AsSpan(count));
                left = left[plain.Length..];
            }
            var decoded = Strict.GetString(bytes, 0, count);
            return decoded.Contains('\0', StringComparison.Ordinal) ? throw InvalidText() : decoded;
        }
        catch (ArgumentException)
        {
            throw InvalidText();
        }
    }

    private static SwiftFault InvalidText() => new(412, "Invalid UTF8 or contains NULL", plain: true);

    private static void Bound(string what, string name, int maxBytes)
    {
        if (Encoding.UTF8.GetByteCount(name) > maxBytes)
        {
            throw SwiftFault.BadRequest($"{what} name length of {Encoding.UTF8.GetByteCount(name)} longer than {maxBytes}");
        }
    }
}
