using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Nephos.BlockStorage.Devices;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Images;

/// <summary>Turns images into frozen layers of devices, each once.</summary>
internal sealed partial class ImageLayers(IStateStore store, IBlockDevices devices, IImages images, ILogger<ImageLayers> logger)
{
    private const int BlockBytes = 4096;

    // One fill at a time for each layer; others wait for it.
    private readonly ConcurrentDictionary<string, Task<ImageLayer>> _filling = new(StringComparer.Ordinal);

    /// <summary>The layer of an image on a device; made when it is not there.</summary>
    /// <exception cref="FaultException">NotFound: there is no such image any more. StorageFull. Unavailable: try again.</exception>
    public async Task<ImageLayer> EnsureAsync(string imageId, string deviceId, CancellationToken cancellationToken)
    {
        var key = ImageLayer.KeyOf(imageId, deviceId);
        if (await store.GetAsync(ImageLayer.Table, key, cancellationToken) is { Filled: true, Deleting: false } layer) return layer;
        // Whoever comes first fills, for all that wait, and goes on when one of them stops waiting.
        var filling = _filling.GetOrAdd(key, _ => Task.Run(() => FillAsync(imageId, deviceId, key), CancellationToken.None));
        return await filling.WaitAsync(cancellationToken);
    }

    private async Task<ImageLayer> FillAsync(string imageId, string deviceId, string key)
    {
        try
        {
            var none = CancellationToken.None;
            if (await store.GetAsync(ImageLayer.Table, key, none) is { Filled: true, Deleting: false } known) return known;
            var (virtualSize, chunks) = await images.ReadAsync(imageId, none);
            if (virtualSize <= 0) throw Faults.Invalid("image", $"Image {imageId} has no disk to boot from.");
            var size = (virtualSize + BlockBytes - 1) / BlockBytes * BlockBytes;
            var layer = new ImageLayer(imageId, deviceId, size, Filled: false, Deleting: false);
            await PutAsync(layer);
            // What a fill that was cut off left is thrown away: it is a volume without a snapshot.
            await devices.DeleteAsync(deviceId, imageId, none);
            await devices.DeleteSnapshotAsync(deviceId, imageId, imageId, none);
            await devices.CreateAsync(deviceId, imageId, size, snapshotId: null, none);
            await devices.WriteAsync(deviceId, imageId, epoch: 0, WholeBlocksAsync(chunks), none);
            await devices.CreateSnapshotAsync(deviceId, imageId, imageId, none);
            await devices.DeleteAsync(deviceId, imageId, none);
            layer = layer with { Filled = true };
            await PutAsync(layer);
            LogFilled(imageId, deviceId, size);
            return layer;
        }
        finally
        {
            _filling.TryRemove(key, out _);
        }
    }

    // The end of a disk need not be the end of a block.
    internal static async IAsyncEnumerable<BlockChunk> WholeBlocksAsync(IAsyncEnumerable<BlockChunk> chunks)
    {
        await foreach (var chunk in chunks)
        {
            var rest = chunk.Data.Length % BlockBytes;
            if (rest == 0)
            {
                yield return chunk;
                continue;
            }
            var padded = new byte[chunk.Data.Length + BlockBytes - rest];
            chunk.Data.CopyTo(padded);
            yield return chunk with { Data = padded };
        }
    }

    /// <summary>Gives up the layers of images that are gone. Volumes over them keep working.</summary>
    public async Task<int> RemoveUnneededAsync(CancellationToken cancellationToken)
    {
        var removed = 0;
        foreach (var layer in await store.ListAsync(ImageLayer.Table, "", cancellationToken))
        {
            if (!layer.Deleting && await images.ExistsAsync(layer.ImageId, cancellationToken)) continue;
            if (_filling.ContainsKey(ImageLayer.KeyOf(layer.ImageId, layer.DeviceId))) continue;
            await PutAsync(layer with { Deleting = true });
            await devices.DeleteAsync(layer.DeviceId, layer.ImageId, cancellationToken);
            await devices.DeleteSnapshotAsync(layer.DeviceId, layer.ImageId, layer.ImageId, cancellationToken);
            await store.TransactAsync(
                transaction =>
                {
                    transaction.Delete(ImageLayer.Table, ImageLayer.KeyOf(layer.ImageId, layer.DeviceId));
                    return Task.CompletedTask;
                },
                cancellationToken);
            removed++;
        }
        return removed;
    }

    private Task PutAsync(ImageLayer layer) => store.TransactAsync(
        transaction =>
        {
            transaction.Put(ImageLayer.Table, layer);
            return Task.CompletedTask;
        },
        CancellationToken.None);

    [LoggerMessage(Level = LogLevel.Information, Message = "Image {ImageId} is a layer of device {DeviceId} with {SizeBytes} bytes")]
    private partial void LogFilled(string imageId, string deviceId, long sizeBytes);
}
