namespace Nephos.Images.Formats;

/// <summary>What a guest sees of an image. One flow at a time.</summary>
internal interface IDisk
{
    long VirtualSizeBytes { get; }

    /// <summary>The first place at or after an offset where there may be anything but zeros; the size when there is none.</summary>
    long NextData(long offset);

    /// <summary>Reads a range that lies inside the disk.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="zeroed">Filled with zeros; what is not zero is written into it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>False when nothing was written: the range is zero.</returns>
    /// <exception cref="InvalidDataException">The image is damaged; names what is wrong.</exception>
    ValueTask<bool> ReadAsync(long offset, Memory<byte> zeroed, CancellationToken cancellationToken);
}

/// <summary>A disk that is stored as it is. Its size is rounded up to whole sectors.</summary>
internal sealed class RawDisk(IRandomReader file) : IDisk
{
    private const int SectorBytes = 512;

    public long VirtualSizeBytes => (file.LengthBytes + SectorBytes - 1) / SectorBytes * SectorBytes;

    public long NextData(long offset) => offset;

    public async ValueTask<bool> ReadAsync(long offset, Memory<byte> zeroed, CancellationToken cancellationToken)
    {
        var inside = (int)Math.Clamp(file.LengthBytes - offset, 0, zeroed.Length);
        await file.ReadAsync(offset, zeroed[..inside], cancellationToken);
        return inside > 0;
    }
}
