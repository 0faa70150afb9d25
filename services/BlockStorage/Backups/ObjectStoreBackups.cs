using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.BlockStorage.Backups;

/// <summary>Backups in the object store, in an account that belongs to no project.</summary>
internal sealed class ObjectStoreBackups(Wire.Objects.ObjectsClient objects, ServiceCalls calls, BlockStorageOptions options) : IBackupObjects
{
    private const int MessageBytes = 1 << 20;

    public async Task<bool> ExistsAsync(string bucket, string key, CancellationToken cancellationToken)
    {
        try
        {
            await objects.HeadObjectAsync(
                new Wire.HeadObjectRequest { Account = options.BackupAccount, Bucket = bucket, Key = key }, await calls.AsServiceAsync(cancellationToken));
            return true;
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            return false;
        }
    }

    public async Task PutAsync(string bucket, string key, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        using var call = objects.PutObject(await calls.AsServiceAsync(cancellationToken));
        try
        {
            await call.RequestStream.WriteAsync(
                new Wire.PutObjectRequest
                {
                    Header = new Wire.PutObjectRequest.Types.Header
                    {
                        Account = options.BackupAccount, Bucket = bucket, Key = key, CreateBucket = true, SizeBytes = data.Length,
                    },
                },
                cancellationToken);
            for (var at = 0; at < data.Length; at += MessageBytes)
            {
                var part = data.Slice(at, Math.Min(MessageBytes, data.Length - at));
                await call.RequestStream.WriteAsync(new Wire.PutObjectRequest { Data = UnsafeByteOperations.UnsafeWrap(part) }, cancellationToken);
            }
            await call.RequestStream.CompleteAsync();
        }
        catch (RpcException)
        {
            // The store has answered already: why is in the answer.
        }
        await call.ResponseAsync;
    }

    public async Task<byte[]?> GetAsync(string bucket, string key, CancellationToken cancellationToken)
    {
        using var call = objects.GetObject(
            new Wire.GetObjectRequest { Account = options.BackupAccount, Bucket = bucket, Key = key }, await calls.AsServiceAsync(cancellationToken));
        byte[]? content = null;
        var filled = 0;
        try
        {
            while (await call.ResponseStream.MoveNext(cancellationToken))
            {
                var part = call.ResponseStream.Current;
                if (part.Object is { } found)
                {
                    content = new byte[found.SizeBytes];
                    continue;
                }
                part.Data.Span.CopyTo(content.AsSpan(filled));
                filled += part.Data.Length;
            }
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            return null;
        }
        return content is null || filled == content.Length
            ? content
            : throw new FaultException(ErrorReason.DataLoss, $"Object {key} ended {content.Length - filled} bytes too early.");
    }

    public async Task DeleteAsync(string bucket, string key, CancellationToken cancellationToken)
    {
        try
        {
            await objects.DeleteObjectAsync(
                new Wire.DeleteObjectRequest { Account = options.BackupAccount, Bucket = bucket, Key = key }, await calls.AsServiceAsync(cancellationToken));
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            // Without the bucket there is no object.
        }
    }

    public async IAsyncEnumerable<StoredItem> ListAsync(string bucket, string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var token = "";
        do
        {
            Wire.ListObjectsResponse page;
            try
            {
                page = await objects.ListObjectsAsync(
                    new Wire.ListObjectsRequest { Account = options.BackupAccount, Bucket = bucket, Prefix = prefix, PageToken = token },
                    await calls.AsServiceAsync(cancellationToken));
            }
            catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
            {
                yield break;
            }
            foreach (var found in page.Objects) yield return new StoredItem(found.Key, found.ModifiedAt.ToDateTimeOffset());
            token = page.NextPageToken;
        }
        while (token.Length > 0);
    }
}
