using Nephos.Client.Objects;

namespace Nephos.ObjectStorage.Objects;

/// <summary>Makes a payload of its own for a copy: payloads have one owner, so that deleting either object frees only its bytes.</summary>
internal static class PayloadCopy
{
    public static async ValueTask<Payload> CopyAsync(
        IObjectEngine engine, ObjectRecord record, BucketName target, string key, CancellationToken cancellationToken)
    {
        await using var writer = engine.Payloads.OpenWriter(await StoragePolicies.PayloadOfAsync(engine, target, key, cancellationToken));
        await using var reader = engine.Payloads.OpenReader(record.Payload, 0, record.Payload.LengthBytes);
        for (var data = await reader.ReadAsync(cancellationToken); !data.IsEmpty; data = await reader.ReadAsync(cancellationToken))
        {
            await writer.WriteAsync(data, cancellationToken);
        }
        return await writer.CompleteAsync(cancellationToken);
    }
}
