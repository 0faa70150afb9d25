using Microsoft.Win32.SafeHandles;

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
}

/// <summary>
/// One device directory: needles, the journal and the rows of index replicas, under one lock against a second process. Opening
/// is recovery. Thread-safe.
/// </summary>
public sealed class ObjectDevice : IDisposable
{
    private readonly SafeFileHandle _header;
    private readonly string _headerPath;
    private readonly ObjectDeviceOptions _options;
    private readonly ulong? _fileSystem;
    private VolumeStore _volumes = null!;
    private Journal _journal = null!;
    private bool _opened;

    private ObjectDevice(string path, DeviceHeader header, SafeFileHandle file, bool isNew, ObjectDeviceOptions options)
    {
        (Path, Header, IsNew, _header, _options) = (path, header, isNew, file, options);
        _headerPath = System.IO.Path.Combine(path, "device");
        _fileSystem = DirectIo.FileSystemOf(path);
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
        Directory.CreateDirectory(path);
        var headerPath = System.IO.Path.Combine(path, "device");
        var isNew = !File.Exists(headerPath);
        if (isNew)
        {
            Create(path, headerPath, new DeviceHeader(Guid.NewGuid(), number, time.GetUtcNow().ToUnixTimeMilliseconds()));
        }

        var file = File.OpenHandle(headerPath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            if (!DirectIo.TryLock(file))
            {
                throw new IOException($"{path} is in use by another process.");
            }

            var page = new byte[DeviceHeader.SizeBytes];
            RandomAccess.Read(file, page, 0);
            if (!DeviceHeader.TryRead(page, out var header))
            {
                throw new IOException($"{headerPath} is damaged or of a newer version.");
            }

            if (header.Number != number)
            {
                throw new IOException($"{path} is the directory of device {header.Number}, not of {number}.");
            }

            var device = new ObjectDevice(path, header, file, isNew, options);
            device.OpenStores(time);
            return device;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Why the device can no longer be used; null while it can.</summary>
    public string? FindFault() =>
        !DirectIo.IsStillAt(_header, _headerPath) ? "its directory was removed or replaced"
        : _volumes.HasFailed ? "writes to its volumes failed"
        : _journal.HasFailed ? "writes to its journal failed"
        : null;

    /// <summary>
    /// Whether a successor may be made at the same place: the directory above is on the file system the device was on, so a disk
    /// that was unmounted is not taken for an emptied directory.
    /// </summary>
    public bool CanBeReplacedInPlace() =>
        _fileSystem is not null
        && System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path)) is { } parent
        && DirectIo.FileSystemOf(Directory.Exists(Path) ? Path : parent) == _fileSystem;

    public long UsedBytes => _volumes.SizeBytes + _journal.SizeBytes;

    public long CapacityBytes => Math.Min(_options.CapacityBytes ?? long.MaxValue, UsedBytes + Math.Max(0, FreeBytes() - _options.HeadroomBytes));

    public void Dispose()
    {
        if (_opened)
        {
            _volumes.Dispose();
            _journal.Dispose();
            Index.Dispose();
        }

        _header.Dispose();
    }

    private static void Create(string path, string headerPath, DeviceHeader header)
    {
        // The header comes last: a directory without it is an empty one.
        foreach (var leftover in (ReadOnlySpan<string>)["volumes", "needles", "journal", "index"])
        {
            var directory = System.IO.Path.Combine(path, leftover);
            if (Directory.Exists(directory))
            {
                Directory.Delete(directory, recursive: true);
            }
        }

        var page = new byte[DeviceHeader.SizeBytes];
        header.Write(page);
        using (var file = File.OpenHandle(headerPath + ".new", FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, page, 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(headerPath + ".new", headerPath, overwrite: true);
        DirectIo.SyncDirectory(path);
    }

    private void OpenStores(TimeProvider time)
    {
        _volumes = VolumeStore.Open(Path, Header.Id, _options.Volumes, HasRoom, time);
        try
        {
            _journal = Journal.Open(Path, Header.Id, _options.Journal, HasFreeSpace, time);
            try
            {
                Index = OpenIndex();
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

    private IndexDatabase OpenIndex()
    {
        var path = System.IO.Path.Combine(Path, "index");
        try
        {
            return new IndexDatabase(path, _options.Index);
        }
        catch (RocksDbSharp.RocksDbException)
        {
            // The replicas on this device begin anew from the others.
            Directory.Delete(path, recursive: true);
            return new IndexDatabase(path, _options.Index);
        }
    }

    /// <summary>Growth of the volumes stops at the capacity and before the headroom.</summary>
    private bool HasRoom(long bytes) =>
        FreeBytes() >= bytes + _options.HeadroomBytes && (_options.CapacityBytes is not { } capacity || VolumeBytes() + bytes <= capacity);

    /// <summary>The journal is small and may use the headroom: deletes go through it.</summary>
    private bool HasFreeSpace(long bytes) => FreeBytes() >= bytes + _options.HeadroomBytes / 4;

    private long VolumeBytes() => Directory.Exists(System.IO.Path.Combine(Path, "volumes"))
        ? new DirectoryInfo(System.IO.Path.Combine(Path, "volumes")).EnumerateFiles("*.seg").Sum(f => f.Length)
        : 0;

    private long FreeBytes()
    {
        try
        {
            return new DriveInfo(Path).AvailableFreeSpace;
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
