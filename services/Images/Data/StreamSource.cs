namespace Nephos.Images.Data;

/// <summary>A request body in pieces of one buffer.</summary>
internal sealed class StreamSource(Stream body) : IByteSource
{
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(IImageBlobs.MaxPieceBytes);

    public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken) =>
        _buffer.AsMemory(0, await body.ReadAtLeastAsync(_buffer, _buffer.Length, throwOnEndOfStream: false, cancellationToken));
}
