using System.Globalization;

namespace Nephos.Hosting.Rest;

/// <summary>A version of one REST API, such as 2.26.</summary>
public readonly record struct Microversion(int Major, int Minor) : IComparable<Microversion>
{
    private const int MaxChars = 16;

    public static bool TryParse(string text, out Microversion version)
    {
        var dot = text.IndexOf('.');
        version = default;
        if (dot <= 0 || text.Length > MaxChars ||
            !int.TryParse(text.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var major) ||
            !int.TryParse(text.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var minor))
        {
            return false;
        }
        version = new Microversion(major, minor);
        return true;
    }

    public int CompareTo(Microversion other) => Major != other.Major ? Major.CompareTo(other.Major) : Minor.CompareTo(other.Minor);

    public static bool operator <(Microversion left, Microversion right) => left.CompareTo(right) < 0;

    public static bool operator >(Microversion left, Microversion right) => left.CompareTo(right) > 0;

    public static bool operator <=(Microversion left, Microversion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Microversion left, Microversion right) => left.CompareTo(right) >= 0;

    public override string ToString() => $"{Major}.{Minor}";
}

/// <summary>What a dialect negotiates.</summary>
/// <param name="ServiceType">The word in <c>OpenStack-API-Version: compute 2.26</c>.</param>
/// <param name="LegacyHeader">An older header that carries the bare number, or null.</param>
public sealed record MicroversionRange(string ServiceType, Microversion Minimum, Microversion Maximum, string? LegacyHeader)
{
    public const string Header = "OpenStack-API-Version";
}
