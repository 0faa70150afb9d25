namespace Nephos.LocalStorage.Objects;

public sealed record ObjectDeviceOptions
{
    public VolumeStoreOptions Volumes { get; init; } = new();

    public JournalOptions Journal { get; init; } = new();

    public IndexDatabaseOptions Index { get; init; } = new();

    /// <summary>Most bytes of segment files; null is what the file system has.</summary>
    public long? CapacityBytes { get; init; }

    /// <summary>Bytes of the file system left free for the index, compaction and everyone else.</summary>
    public long HeadroomBytes { get; init; } = 256L << 20;

    internal Func<string, IDeviceMedium> Medium { get; init; } = path => new FileMedium(path);

    internal Func<Guid> NewId { get; init; } = Guid.NewGuid;
}

/// <summary>
/// One device directory: needles, the journal and the rows of index replicas, under one lock against a second process. Opening
/// is recovery. Thread-safe.
/// </summary>
public sealed class ObjectDevice : IDisposable
{
    private readonly IDeviceMedium _medium;
    private readonly ISegmentDirectory _volumeFiles;
    private readonly ObjectDeviceOptions _options;
    private VolumeStore _volumes = null!;
    private Journal _journal = null!;
    private bool _opened;

    private ObjectDevice(string path, DeviceHeader header, IDeviceMedium medium, bool isNew, ObjectDeviceOptions options)
    {
        (Path, Header, IsNew, _medium, _options) = (path, header, isNew, medium, options);
        _volumeFiles = medium.OpenSegments("volumes");
    }

    public string Path { get; }

    public DeviceHeader Header { get; }

    /// <summary>The directory was empty: whatever its predecessor held must be made again.</summary>
    public bool IsNew { get; }

    public VolumeStore Volumes => _volumes;

    public Journal Journal => _journal;

    public IndexDatabase Index { get; private set; } = null!;

    /// <summary>Opens a device directory; an empty or missing one becomes a new device.</summary>
    /// <exception cref="IOException">In use by another process, another device's directory, or not usable.</exception>
    public static ObjectDevice Open(string path, int number, ObjectDeviceOptions options, TimeProvider time)
    {
        var medium = options.Medium(path);
        try
        {
            var stored = medium.Open();
            var header = stored ?? new DeviceHeader(options.NewId(), number, time.GetUtcNow().ToUnixTimeMilliseconds());
            if (header.Number != number)
            {
                throw new IOException($"{path} is the directory of device {header.Number}, not of {number}.");
            }

            if (stored is null)
            {
                medium.Create(header);
            }

            var device = new ObjectDevice(path, header, medium, isNew: stored is null, options);
            device.OpenStores(time);
            return device;
        }
        catch
        {
            medium.Dispose();
            throw;
        }
    }

    /// <summary>Why the device can no longer be used; null while it can.</summary>
    public string? FindFault() =>
        !_medium.IsStillThere() ? "its directory was removed or replaced"
        : _volumes.HasFailed ? "writes to its volumes failed"
        : _journal.HasFailed ? "writes to its journal failed"
        : null;

    /// <summary>Whether an empty device may be begun at the same place.</summary>
    public bool CanBeReplacedInPlace() => _medium.CanBeReplacedInPlace();

    public long UsedBytes => _volumes.SizeBytes + _journal.SizeBytes;

    public long CapacityBytes => Math.Min(_options.CapacityBytes ?? long.MaxValue, UsedBytes + Math.Max(0, _medium.FreeBytes() - _options.HeadroomBytes));

    public void Dispose()
    {
        if (_opened)
        {
            _volumes.Dispose();
            _journal.Dispose();
            Index.Dispose();
        }

        _medium.Dispose();
    }

    private void OpenStores(TimeProvider time)
    {
        _volumes = VolumeStore.Open(_medium, Header.Id, _options.Volumes, HasRoom, time);
        try
        {
            _journal = Journal.Open(_medium, Header.Id, _options.Journal, HasFreeSpace, time);
            try
            {
                Index = new IndexDatabase(_medium, "index", _options.Index);
            }
            catch
            {
                _journal.Dispose();
                throw;
            }
        }
        catch
        {
            _volumes.Dispose();
            throw;
        }

        _opened = true;
    }

    /// <summary>Growth of the volumes stops at the capacity and before the headroom.</summary>
    private bool HasRoom(long bytes) =>
        _medium.FreeBytes() >= bytes + _options.HeadroomBytes
        && (_options.CapacityBytes is not { } capacity || _volumeFiles.TotalBytes + bytes <= capacity);

    /// <summary>The journal is small and may use the headroom: deletes go through it.</summary>
    private bool HasFreeSpace(long bytes) => _medium.FreeBytes() >= bytes + _options.HeadroomBytes / 4;
}
