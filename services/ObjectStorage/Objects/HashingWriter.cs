using System.Security.Cryptography;
using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Writes a payload and computes the MD5 of its bytes on the way. Disposing without completing discards the payload.</summary>
/// <remarks>One caller at a time.</remarks>
internal sealed class HashingWriter(IPayloadWriter writer) : IAsyncDisposable
{
    private readonly IncrementalHash _md5 = IncrementalHash.CreateHash(HashAlgorithmName.MD5);

    public long LengthBytes => writer.LengthBytes;

    /// <summary>A buffer to receive into; see <see cref="AdvanceAsync"/>.</summary>
    public Memory<byte> GetMemory() => writer.GetMemory();

    /// <summary>Takes the first <paramref name="count"/> bytes of <paramref name="buffer"/>, the last that <see cref="GetMemory"/> gave.</summary>
    public ValueTask AdvanceAsync(Memory<byte> buffer, int count, CancellationToken cancellationToken)
    {
        _md5.AppendData(buffer.Span[..count]);
        return writer.AdvanceAsync(count, cancellationToken);
    }

    public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        _md5.AppendData(data.Span);
        return writer.WriteAsync(data, cancellationToken);
    }

    /// <returns>The durable payload and the MD5 of its bytes in lower-case hex.</returns>
    public async ValueTask<(Payload Payload, string Md5)> CompleteAsync(CancellationToken cancellationToken)
    {
        var payload = await writer.CompleteAsync(cancellationToken);
        return (payload, Convert.ToHexStringLower(_md5.GetHashAndReset()));
    }

    public ValueTask DisposeAsync()
    {
        _md5.Dispose();
        return writer.DisposeAsync();
    }
}
