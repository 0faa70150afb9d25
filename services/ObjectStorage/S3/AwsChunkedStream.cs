using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Nephos.ObjectStorage.S3;

/// <summary>Decodes an aws-chunked body: <c>size[;chunk-signature=…]CRLF data CRLF</c> …, a chunk of size 0, then trailers.</summary>
/// <remarks>
/// Every chunk's signature covers the one before it, so chunks cannot be dropped or moved. Bytes are handed out before their chunk's signature
/// is checked; the caller commits nothing until the end of the stream was reached without a fault. A body that is cut is a fault.
/// Source: AWS, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks".
/// </remarks>
internal sealed class AwsChunkedStream(Stream inner, SignatureClaim? claim, byte[] signingKey, bool hasTrailer) : IDisposable
{
    public const int MaxLineBytes = 4096;
    public const int MaxTrailers = 16;
    private const long MaxChunkBytes = 5L * 1024 * 1024 * 1024;
    private static readonly string EmptyHash = Convert.ToHexStringLower(SHA256.HashData([]));

    private readonly byte[] _buffer = new byte[16 * 1024];
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private int _start;
    private int _end;
    private long _left;
    private bool _inChunk;
    private bool _ended;
    private string _signature = "";
    private string _previous = claim?.Signature ?? "";

    /// <summary>Names in lower case; complete at the end of the stream.</summary>
    public Dictionary<string, string> Trailers { get; } = new(StringComparer.Ordinal);

    /// <returns>0 at the end, after the last signature and the trailers were checked.</returns>
    /// <exception cref="S3Fault">The framing or a signature is wrong, or the body ends too soon.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> target, CancellationToken cancellationToken)
    {
        while (!_ended)
        {
            if (_inChunk && _left > 0)
            {
                var wanted = (int)Math.Min(target.Length, _left);
                int read;
                if (_start < _end)
                {
                    read = Math.Min(wanted, _end - _start);
                    _buffer.AsSpan(_start, read).CopyTo(target.Span);
                    _start += read;
                }
                else
                {
                    read = await inner.ReadAsync(target[..wanted], cancellationToken);
                    if (read == 0)
                    {
                        throw S3Fault.IncompleteBody();
                    }
                }
                if (claim is not null)
                {
                    _hash.AppendData(target.Span[..read]);
                }
                _left -= read;
                return read;
            }
            if (_inChunk)
            {
                if ((await ReadLineAsync(cancellationToken)).Length != 0)
                {
                    throw Malformed();
                }
                CheckChunk();
                _inChunk = false;
            }
            await BeginChunkAsync(cancellationToken);
        }
        return 0;
    }

    public void Dispose() => _hash.Dispose();

    private async ValueTask BeginChunkAsync(CancellationToken cancellationToken)
    {
        var line = await ReadLineAsync(cancellationToken);
        var semicolon = line.IndexOf(';', StringComparison.Ordinal);
        var size = semicolon < 0 ? line : line[..semicolon];
        if (size.Length is 0 or > 16 || !long.TryParse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _left) ||
            _left is < 0 or > MaxChunkBytes)
        {
            throw Malformed();
        }
        const string Extension = "chunk-signature=";
        var at = semicolon < 0 ? -1 : line.IndexOf(Extension, semicolon, StringComparison.Ordinal);
        _signature = at < 0 ? "" : line[(at + Extension.Length)..].Trim();
        if (_left > 0)
        {
            _inChunk = true;
            return;
        }
        CheckChunk();
        await ReadTrailersAsync(cancellationToken);
        _ended = true;
    }

    private void CheckChunk()
    {
        if (claim is null)
        {
            return;
        }
        var hash = Convert.ToHexStringLower(_hash.GetHashAndReset());
        Check($"AWS4-HMAC-SHA256-PAYLOAD\n{Stamp()}\n{claim.Scope}\n{_previous}\n{EmptyHash}\n{hash}", _signature);
    }

    private async ValueTask ReadTrailersAsync(CancellationToken cancellationToken)
    {
        var canonical = new StringBuilder();
        var needsSignature = hasTrailer && claim is not null;
        while (true)
        {
            var line = await ReadLineAsync(cancellationToken, mayEnd: true);
            if (line.Length == 0)
            {
                if (needsSignature)
                {
                    // Without it, whoever passed the body on could have left out or changed the trailers.
                    throw S3Fault.SignatureDoesNotMatch();
                }
                return;
            }
            if (hasTrailer && claim is not null && !needsSignature)
            {
                // Nothing may follow what was signed.
                throw Malformed();
            }
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (!hasTrailer || colon <= 0 || Trailers.Count == MaxTrailers)
            {
                throw Malformed();
            }
            var (name, value) = (line[..colon].Trim().ToLowerInvariant(), line[(colon + 1)..].Trim());
            if (name == "x-amz-trailer-signature")
            {
                if (claim is not null)
                {
                    var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())));
                    Check($"AWS4-HMAC-SHA256-TRAILER\n{Stamp()}\n{claim.Scope}\n{_previous}\n{hash}", value);
                    needsSignature = false;
                }
                continue;
            }
            canonical.Append(name).Append(':').Append(value).Append('\n');
            Trailers[name] = value;
        }
    }

    private string Stamp() => claim!.Time.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);

    private void Check(string text, string signature)
    {
        var expected = Convert.ToHexStringLower(HMACSHA256.HashData(signingKey, Encoding.UTF8.GetBytes(text)));
        if (!CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(expected), Encoding.ASCII.GetBytes(signature)))
        {
            throw S3Fault.SignatureDoesNotMatch();
        }
        _previous = expected;
    }

    private async ValueTask<string> ReadLineAsync(CancellationToken cancellationToken, bool mayEnd = false)
    {
        var line = new StringBuilder();
        while (true)
        {
            if (_start == _end)
            {
                (_start, _end) = (0, await inner.ReadAsync(_buffer, cancellationToken));
                if (_end == 0)
                {
                    return mayEnd && line.Length == 0 ? "" : throw S3Fault.IncompleteBody();
                }
            }
            var span = _buffer.AsSpan(_start, _end - _start);
            var newLine = span.IndexOf((byte)'\n');
            var part = newLine < 0 ? span : span[..newLine];
            if (line.Length + part.Length > MaxLineBytes)
            {
                throw Malformed();
            }
            line.Append(Encoding.Latin1.GetString(part));
            _start += part.Length;
            if (newLine >= 0)
            {
                _start++;
                return line.Length > 0 && line[^1] == '\r' ? line.ToString(0, line.Length - 1) : throw Malformed();
            }
        }
    }

    private static S3Fault Malformed() => new(400, "InvalidChunkSizeError", "The aws-chunked body is malformed.");
}
