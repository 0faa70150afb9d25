using System.Security.Cryptography;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Writes a payload and computes the MD5 of its bytes on the way. Disposing without completing discards the payload.</summary>
/// <remarks>One caller at a time.</remarks>
internal sealed class HashingWriter : IAsyncDisposable
{
    private readonly IncrementalHash _md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
    private readonly IPayloadWriter _writer;

    public HashingWriter(IPayloadStore payloads, PayloadOptions options) => _writer = payloads.OpenWriter(options with { Digest = _md5 });

    public long LengthBytes => _writer.LengthBytes;

    /// <summary>A buffer to receive into; see <see cref="AdvanceAsync"/>.</summary>
    public Memory<byte> GetMemory() => _writer.GetMemory();

    /// <summary>Takes the first <paramref name="count"/> bytes of the last <see cref="GetMemory"/>.</summary>
    public ValueTask AdvanceAsync(int count, CancellationToken cancellationToken) => _writer.AdvanceAsync(count, cancellationToken);

    public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => _writer.WriteAsync(data, cancellationToken);

    /// <returns>The durable payload and the MD5 of its bytes in lower-case hex.</returns>
    public async ValueTask<(Payload Payload, string Md5)> CompleteAsync(CancellationToken cancellationToken)
    {
        var payload = await _writer.CompleteAsync(cancellationToken);
        return (payload, Convert.ToHexStringLower(_md5.GetHashAndReset()));
    }

    public async ValueTask DisposeAsync()
    {
        // The writer may still be hashing.
        await _writer.DisposeAsync();
        _md5.Dispose();
    }
}
