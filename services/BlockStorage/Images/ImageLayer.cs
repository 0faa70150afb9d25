using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Images;

/// <summary>The content of an image as a frozen layer of one device; volumes are made over it.</summary>
/// <param name="SizeBytes">What a guest sees as the size of the disk, rounded up to blocks; 0 until it is filled.</param>
internal sealed record ImageLayer(string ImageId, string DeviceId, long SizeBytes, bool Filled, bool Deleting)
{
    public static readonly TableSchema<ImageLayer> Table =
        new("block-storage/image-layers", layer => KeyOf(layer.ImageId, layer.DeviceId), BlockStorageJson.Default.ImageLayer);

    public static string KeyOf(string imageId, string deviceId) => $"{imageId}/{deviceId}";
}
