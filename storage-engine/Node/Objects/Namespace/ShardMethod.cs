using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Nephos.Node.Objects.Groups;

namespace Nephos.Node.Objects.Namespace;

/// <summary>Something that the writer of a shard does, for callers in its process and in others.</summary>
internal abstract class ShardMethod(ushort number, bool canRepeat)
{
    public ushort Number { get; } = number;

    /// <summary>May be asked again when an answer was lost.</summary>
    public bool CanRepeat { get; } = canRepeat;

    /// <summary>Carries out a request that came as bytes.</summary>
    /// <exception cref="InvalidDataException">The bytes are no request.</exception>
    public abstract ValueTask<ReadOnlyMemory<byte>> RunAsync(ShardTarget target, ReadOnlyMemory<byte> request, CancellationToken cancellationToken);
}

/// <inheritdoc />
internal sealed class ShardMethod<TRequest, TResult>(
    ushort number, bool canRepeat, JsonTypeInfo<TRequest> requestType, JsonTypeInfo<TResult> resultType,
    Func<ShardTarget, TRequest, CancellationToken, ValueTask<TResult>> run) : ShardMethod(number, canRepeat)
{
    public ValueTask<TResult> RunAsync(ShardTarget target, TRequest request, CancellationToken cancellationToken) =>
        run(target, request, cancellationToken);

    public override async ValueTask<ReadOnlyMemory<byte>> RunAsync(
        ShardTarget target, ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        TRequest parsed;
        try
        {
            parsed = JsonSerializer.Deserialize(request.Span, requestType)!;
        }
        catch (JsonException fault)
        {
            throw new InvalidDataException($"No request of method {Number:x}: {fault.Message}", fault);
        }

        return JsonSerializer.SerializeToUtf8Bytes(await run(target, parsed, cancellationToken), resultType);
    }

    public byte[] Write(TRequest request) => JsonSerializer.SerializeToUtf8Bytes(request, requestType);

    public TResult Read(ReadOnlySpan<byte> result) => JsonSerializer.Deserialize(result, resultType)!;
}

/// <summary>A shard in this process, and the namespace that works on it.</summary>
internal readonly record struct ShardTarget(IndexShard Shard, ShardedNamespace Names);
