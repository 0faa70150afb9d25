using System.Runtime.CompilerServices;
using Google.Protobuf;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.ObjectStorage.V1;

namespace Nephos.Images.Data;

/// <summary>Data in the object store, in one bucket of an account of its own.</summary>
internal sealed class ObjectStoreBlobs(Wire.Objects.ObjectsClient objects, ServiceCalls calls, ImagesOptions options) : IImageBlobs
{
    public async Task<IBlobWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        var call = objects.PutObject(await calls.AsServiceAsync(cancellationToken, options.TransferDeadline));
        var writer = new Writer(call);
        try
        {
            await writer.SendAsync(new Wire.PutObjectRequest
            {
                Header = new Wire.PutObjectRequest.Types.Header
                {
                    Account = options.Account, Bucket = options.Bucket, Key = key, CreateBucket = true, SizeBytes = -1,
                },
            });
            return writer;
        }
        catch
        {
            await writer.DisposeAsync();
            throw;
        }
    }

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(
        string key, long offset, long length, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = objects.GetObject(
            new Wire.GetObjectRequest { Account = options.Account, Bucket = options.Bucket, Key = key, Offset = offset, Length = length },
            await calls.AsServiceAsync(cancellationToken, options.TransferDeadline));
        var left = length;
        while (await call.ResponseStream.MoveNext(cancellationToken))
        {
            var part = call.ResponseStream.Current;
            if (part.PartCase == Wire.GetObjectResponse.PartOneofCase.Data)
            {
                left -= part.Data.Length;
                yield return part.Data.Memory;
            }
        }
        if (left != 0)
        {
            throw new FaultException(ErrorReason.DataLoss, $"The data {key} of an image ended {left} bytes too early.");
        }
    }

    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            await objects.DeleteObjectAsync(
                new Wire.DeleteObjectRequest { Account = options.Account, Bucket = options.Bucket, Key = key },
                await calls.AsServiceAsync(cancellationToken));
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            // Without the bucket there is no object.
        }
    }

    private sealed class Writer(AsyncClientStreamingCall<Wire.PutObjectRequest, Wire.StoredObject> call) : IBlobWriter
    {
        public Task WriteAsync(ReadOnlyMemory<byte> piece, CancellationToken cancellationToken) =>
            SendAsync(new Wire.PutObjectRequest { Data = UnsafeByteOperations.UnsafeWrap(piece) });

        public async Task CompleteAsync(CancellationToken cancellationToken)
        {
            await call.RequestStream.CompleteAsync();
            await call.ResponseAsync;
        }

        public ValueTask DisposeAsync()
        {
            // Without a response the call is cancelled, and the object does not appear.
            call.Dispose();
            return ValueTask.CompletedTask;
        }

        internal async Task SendAsync(Wire.PutObjectRequest message)
        {
            try
            {
                await call.RequestStream.WriteAsync(message);
            }
            catch (Exception exception) when (exception is RpcException or InvalidOperationException)
            {
                // The answer says why the store takes no more.
                await call.ResponseAsync;
                throw;
            }
        }
    }
}
