using Microsoft.Win32.SafeHandles;

namespace Nephos.LocalStorage.Objects;

/// <summary>A device directory of the file system, with a lock against a second process.</summary>
internal sealed class FileMedium(string path) : IDeviceMedium
{
    private static readonly string[] Contents = ["volumes", "needles", "journal", "index"];
    private readonly string _headerPath = Path.Combine(path, "device");
    private SafeFileHandle? _header;
    private ulong? _fileSystem;

    public DeviceHeader? Open()
    {
        Directory.CreateDirectory(path);
        if (!File.Exists(_headerPath))
        {
            return null;
        }

        Take();
        var page = new byte[DeviceHeader.SizeBytes];
        RandomAccess.Read(_header!, page, 0);
        return DeviceHeader.TryRead(page, out var header)
            ? header
            : throw new IOException($"{_headerPath} is damaged or of a newer version.");
    }

    public void Create(DeviceHeader header)
    {
        // The header comes last: a directory without it is an empty one.
        foreach (var leftover in Contents)
        {
            DeleteTable(leftover);
        }

        var page = new byte[DeviceHeader.SizeBytes];
        header.Write(page);
        using (var file = File.OpenHandle(_headerPath + ".new", FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, page, 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(_headerPath + ".new", _headerPath, overwrite: true);
        DirectIo.SyncDirectory(path);
        Take();
    }

    public bool IsStillThere() => _header is not null && DirectIo.IsStillAt(_header, _headerPath);

    public bool CanBeReplacedInPlace() =>
        _fileSystem is not null
        && Path.GetDirectoryName(Path.GetFullPath(path)) is { } parent
        && DirectIo.FileSystemOf(Directory.Exists(path) ? path : parent) == _fileSystem;

    public long FreeBytes()
    {
        try
        {
            return new DriveInfo(path).AvailableFreeSpace;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    public ISegmentDirectory OpenSegments(string name) => new FileSegmentDirectory(Path.Combine(path, name));

    public IRowTable OpenTable(string name, RowTableOptions options) => new RocksRowTable(Path.Combine(path, name), options);

    public void DeleteTable(string name)
    {
        var directory = Path.Combine(path, name);
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    public AlignedBuffer Allocate(int sizeBytes) => new(sizeBytes);

    public IWorker StartWorker(string name, Action step) => new ThreadWorker(name, step);

    public void Dispose() => _header?.Dispose();

    private void Take()
    {
        var file = File.OpenHandle(_headerPath, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        if (!DirectIo.TryLock(file))
        {
            file.Dispose();
            throw new IOException($"{path} is in use by another process.");
        }

        _header = file;
        _fileSystem = DirectIo.FileSystemOf(path);
    }
}
