using System.Collections.Immutable;
using System.Security.Cryptography;
using Nephos.Client.Objects;

namespace Nephos.Testing.Objects;

/// <summary>The object engine's contract over dictionaries, for tests of the faces. Nothing survives the process.</summary>
public sealed class InMemoryObjectEngine : IObjectEngine, IPayloadStore
{
    private readonly InMemoryObjectNamespace _namespace = new();

    public IPayloadStore Payloads => this;

    public IObjectNamespace Namespace => _namespace;

    public ObjectEngineStatus GetStatus() => new([], [], 0, 0, 0, 0, 0, null);

    public IPayloadWriter OpenWriter(PayloadOptions options) => new Writer(options.Digest);

    public IPayloadReader OpenReader(Payload payload, long offsetBytes, long lengthBytes) =>
        new Reader(payload.Inline.Slice((int)offsetBytes, (int)lengthBytes));

    public ValueTask ReleaseAsync(Payload payload, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    private sealed class Writer(IncrementalHash? digest) : IPayloadWriter
    {
        private readonly MemoryStream _bytes = new();
        private readonly byte[] _buffer = new byte[64 * 1024];

        public long LengthBytes => _bytes.Length;

        public Memory<byte> GetMemory() => _buffer;

        public ValueTask AdvanceAsync(int count, CancellationToken cancellationToken)
        {
            _bytes.Write(_buffer, 0, count);
            return ValueTask.CompletedTask;
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            _bytes.Write(data.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask<Payload> CompleteAsync(CancellationToken cancellationToken)
        {
            var content = _bytes.ToArray();
            digest?.AppendData(content);
            return ValueTask.FromResult(new Payload { LengthBytes = content.Length, Inline = content });
        }

        public ValueTask DisposeAsync() => _bytes.DisposeAsync();
    }

    private sealed class Reader(ReadOnlyMemory<byte> bytes) : IPayloadReader
    {
        private const int ChunkBytes = 1024 * 1024;
        private ReadOnlyMemory<byte> _left = bytes;

        public ValueTask<ReadOnlyMemory<byte>> ReadAsync(CancellationToken cancellationToken)
        {
            var next = _left[..Math.Min(ChunkBytes, _left.Length)];
            _left = _left[next.Length..];
            return ValueTask.FromResult(next);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
