using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Nephos.Client.Transport;

/// <summary>Where a storage process listens: <c>unix:/path/to/socket</c> or <c>tcp:host:port</c>.</summary>
public sealed record StorageAddress
{
    private const string UnixScheme = "unix:", TcpScheme = "tcp:";

    private StorageAddress(string text) => Text = text;

    public string Text { get; }

    public bool IsUnix => Text.StartsWith(UnixScheme, StringComparison.Ordinal);

    /// <summary>The file of a unix socket.</summary>
    public string Path => Text[UnixScheme.Length..];

    public static StorageAddress Unix(string path) => Parse(UnixScheme + path);

    /// <exception cref="FormatException">Neither form.</exception>
    public static StorageAddress Parse(string text)
    {
        if (text.StartsWith(UnixScheme, StringComparison.Ordinal) && text.Length > UnixScheme.Length)
        {
            return new StorageAddress(text);
        }

        var colon = text.LastIndexOf(':');
        if (text.StartsWith(TcpScheme, StringComparison.Ordinal) && colon > TcpScheme.Length
            && ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            return new StorageAddress(text);
        }

        throw new FormatException($"'{text}' is no address of a storage process: unix:PATH or tcp:HOST:PORT.");
    }

    public override string ToString() => Text;

    internal EndPoint ToEndPoint()
    {
        if (IsUnix)
        {
            return new UnixDomainSocketEndPoint(Path);
        }

        var colon = Text.LastIndexOf(':');
        var (host, port) = (Text[TcpScheme.Length..colon], int.Parse(Text.AsSpan(colon + 1), CultureInfo.InvariantCulture));
        return IPAddress.TryParse(host, out var ip) ? new IPEndPoint(ip, port) : new DnsEndPoint(host, port);
    }

    internal Socket NewSocket() => IsUnix
        ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
        : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
}
