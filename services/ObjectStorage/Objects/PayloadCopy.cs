using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Makes a payload of its own for a copy: payloads have one owner, so that deleting either object frees only its bytes.</summary>
internal static class PayloadCopy
{
    public static async ValueTask<Payload> CopyAsync(
        IObjectEngine engine, Payload source, BucketName bucket, string key, CancellationToken cancellationToken)
    {
        await using var writer = engine.Payloads.OpenWriter(new PayloadOptions { Bucket = bucket, Key = key });
        await using var reader = engine.Payloads.OpenReader(source, 0, source.LengthBytes);
        for (var data = await reader.ReadAsync(cancellationToken); !data.IsEmpty; data = await reader.ReadAsync(cancellationToken))
        {
            await writer.WriteAsync(data, cancellationToken);
        }
        return await writer.CompleteAsync(cancellationToken);
    }
}
