namespace Nephos.LocalStorage.Objects;

/// <summary>
/// What a device stands on: a directory with files and tables, and someone to work in the background. The stores know nothing below
/// it, so that the same code runs on a real directory and on a simulated disk that loses power in the middle of a write.
/// </summary>
internal interface IDeviceMedium : IDisposable
{
    /// <summary>Takes the directory for this process; its header, or null when there is no device yet.</summary>
    /// <exception cref="IOException">In use by another process, or the header is damaged.</exception>
    DeviceHeader? Open();

    /// <summary>Makes a new, empty device durable and takes it for this process.</summary>
    void Create(DeviceHeader header);

    /// <summary>The directory is still what was opened: not removed, not replaced.</summary>
    bool IsStillThere();

    /// <summary>
    /// Whether a successor may be made at the same place: the directory above is on the file system the device was on, so a disk
    /// that was unmounted is not taken for an emptied directory.
    /// </summary>
    bool CanBeReplacedInPlace();

    /// <summary>Bytes that can still be written.</summary>
    long FreeBytes();

    ISegmentDirectory OpenSegments(string name);

    /// <exception cref="RocksDbSharp.RocksDbException">The table is damaged.</exception>
    IRowTable OpenTable(string name, RowTableOptions options);

    void DeleteTable(string name);

    /// <summary>Memory that files are written from; whoever asks disposes.</summary>
    AlignedBuffer Allocate(int sizeBytes);

    /// <summary>Starts someone who runs <paramref name="step"/>, one at a time, after each <see cref="IWorker.Wake"/>.</summary>
    IWorker StartWorker(string name, Action step);
}

/// <summary>Runs a piece of work when woken. Disposing runs what was asked for, then ends.</summary>
internal interface IWorker : IDisposable
{
    void Wake();
}

/// <summary>The segment files of one directory.</summary>
internal interface ISegmentDirectory
{
    IReadOnlyList<string> Names { get; }

    long TotalBytes { get; }

    /// <summary>Null when its header is damaged; the caller decides what that means.</summary>
    SegmentFile? Open(string name);

    /// <summary>Makes a file of zeros with the header in front; durable as a whole or not there.</summary>
    SegmentFile Create(string name, SegmentHeader header, CancellationToken cancellationToken);

    void Delete(string name);

    /// <summary>The size of a file whose header says nothing.</summary>
    long SizeOf(string name);

    /// <summary>Reads a file whose header says nothing.</summary>
    int ReadRaw(string name, long offset, Span<byte> destination);

    /// <summary>Gives a file its header back, durably.</summary>
    void WriteHeader(string name, SegmentHeader header);
}
