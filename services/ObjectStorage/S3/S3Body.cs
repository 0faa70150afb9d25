using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Nephos.ObjectStorage.S3;

/// <summary>The body of a request as the client meant it: unframed, and held against everything the client said about it.</summary>
internal sealed class S3Body : IDisposable
{
    private const string StreamingPrefix = "STREAMING-";

    private readonly Stream _inner;
    private readonly AwsChunkedStream? _chunked;
    private readonly IncrementalHash? _sha256;
    private readonly string _payloadHash;
    private (string Name, S3Checksum Sum, string? Expected)? _checksum;
    private readonly HttpRequest _request;
    private bool _isInTrailer;
    private long _length;

    public S3Body(HttpRequest request, SignatureClaim? claim, byte[] signingKey)
    {
        _request = request;
        _inner = request.Body;
        _payloadHash = request.Headers["x-amz-content-sha256"].ToString() is { Length: > 0 } header ? header : claim?.PayloadHash ?? SignatureV4.UnsignedPayload;
        if (_payloadHash.StartsWith(StreamingPrefix, StringComparison.Ordinal))
        {
            var hasTrailer = _payloadHash.EndsWith("-TRAILER", StringComparison.Ordinal);
            _chunked = _payloadHash switch
            {
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" or "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" when claim is not null => new(_inner, claim, signingKey, hasTrailer),
                "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => new(_inner, null, signingKey, hasTrailer),
                _ => throw S3Fault.InvalidArgument("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-… or a valid sha256 value."),
            };
        }
        else if (_payloadHash != SignatureV4.UnsignedPayload)
        {
            if (_payloadHash.Length != 64)
            {
                throw S3Fault.InvalidArgument("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-… or a valid sha256 value.");
            }
            _sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        }
        AddChecksum();
    }

    /// <summary>Bytes of the content itself, when the client said how many.</summary>
    public long? AnnouncedBytes => _chunked is null
        ? _request.ContentLength
        : long.TryParse(_request.Headers["x-amz-decoded-content-length"], NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : null;

    /// <summary>The checksum the client asked to keep, as base64; there after <see cref="Verify"/>.</summary>
    public (string Name, string Value)? Checksum { get; private set; }

    /// <returns>0 at the end.</returns>
    public async ValueTask<int> ReadAsync(Memory<byte> target, CancellationToken cancellationToken)
    {
        int read;
        try
        {
            read = _chunked is null
                ? await _inner.ReadAsync(target, cancellationToken)
                : await _chunked.ReadAsync(target, cancellationToken);
        }
        catch (BadHttpRequestException)
        {
            throw S3Fault.IncompleteBody();
        }
        _sha256?.AppendData(target.Span[..read]);
        _checksum?.Sum.Append(target.Span[..read]);
        _length += read;
        return read;
    }

    /// <summary>Reads a small body whole.</summary>
    public async ValueTask<byte[]> ReadAllAsync(int maxBytes, CancellationToken cancellationToken)
    {
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await ReadAsync(buffer, cancellationToken)) > 0)
        {
            if (body.Length + read > maxBytes)
            {
                throw new S3Fault(400, "MaxMessageLengthExceeded", $"Your request was too big: at most {maxBytes} bytes.");
            }
            body.Write(buffer, 0, read);
        }
        var bytes = body.ToArray();
        Verify(Convert.ToHexStringLower(MD5.HashData(bytes)));
        return bytes;
    }

    /// <summary>Holds what came against what was announced. Call at the end, before anything is committed.</summary>
    /// <exception cref="S3Fault">A length, hash or checksum differs.</exception>
    public void Verify(string md5Hex)
    {
        if (AnnouncedBytes is { } announced && announced != _length)
        {
            throw S3Fault.IncompleteBody();
        }
        if (_sha256 is not null && !Convert.ToHexStringLower(_sha256.GetHashAndReset()).Equals(_payloadHash, StringComparison.OrdinalIgnoreCase))
        {
            throw new S3Fault(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.");
        }
        if (_request.Headers.ContentMD5.ToString() is { Length: > 0 } contentMd5)
        {
            var given = new byte[16];
            if (!Convert.TryFromBase64String(contentMd5, given, out var count) || count != 16)
            {
                throw new S3Fault(400, "InvalidDigest", "The Content-MD5 you specified is not valid.");
            }
            if (Convert.ToHexStringLower(given) != md5Hex)
            {
                throw S3Fault.BadDigest();
            }
        }
        if (_checksum is var (name, sum, expected))
        {
            var value = Convert.ToBase64String(sum.Finish());
            var wanted = expected ?? _chunked?.Trailers.GetValueOrDefault(S3Checksum.HeaderPrefix + name);
            if (wanted is null && _isInTrailer)
            {
                throw new S3Fault(400, "MalformedTrailerError", "The request announced a checksum in its trailer and sent none.");
            }
            if (wanted is not null && wanted != value)
            {
                throw S3Fault.BadDigest();
            }
            Checksum = (name, value);
        }
    }

    public void Dispose()
    {
        _chunked?.Dispose();
        _sha256?.Dispose();
        _checksum?.Sum.Dispose();
    }

    private void AddChecksum()
    {
        (string Name, string? Expected)? asked = null;
        foreach (var name in S3Checksum.Names)
        {
            if (_request.Headers[S3Checksum.HeaderPrefix + name].ToString() is { Length: > 0 } value)
            {
                asked = asked is null ? (name, value) : throw S3Fault.InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.");
            }
        }
        var trailer = _request.Headers["x-amz-trailer"].ToString().Trim().ToLowerInvariant();
        if (trailer.StartsWith(S3Checksum.HeaderPrefix, StringComparison.Ordinal))
        {
            _isInTrailer = true;
            asked = asked is null ? (trailer[S3Checksum.HeaderPrefix.Length..], null) : throw S3Fault.InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.");
        }
        else if (asked is null && _request.Headers["x-amz-sdk-checksum-algorithm"].ToString() is { Length: > 0 } algorithm)
        {
            asked = (algorithm.ToLowerInvariant(), null);
        }
        if (asked is var (wanted, expected))
        {
            _checksum = (wanted, S3Checksum.Create(wanted) ?? throw S3Fault.InvalidRequest("Checksum algorithm provided is unsupported."), expected);
        }
    }
}
