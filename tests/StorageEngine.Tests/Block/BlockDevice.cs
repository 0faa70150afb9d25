using System.Runtime.InteropServices;
using Nephos.LocalStorage.Block;
using Xunit;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>A block store in a directory of its own, with small segments and without a background thread.</summary>
internal sealed class BlockDevice : IDisposable
{
    public const int Block = BlockGeometry.BlockBytes;

    public BlockDevice(BlockStoreOptions? options = null, string? copyOf = null)
    {
        Options = options ?? Small;
        // Memory where there is some: what is tested is what the calls leave behind, not the speed of a disk.
        var root = System.IO.Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        Directory = Path.Combine(root, "nephos-block-" + Guid.NewGuid().ToString("n"));
        if (copyOf is not null) Copy(copyOf, Directory);
        Store = BlockStore.Open(Directory, Options, TimeProvider.System);
    }

    public static BlockStoreOptions Small { get; } =
        new() { SegmentBytes = 1 << 20, SegmentsMax = 6, ReserveBytes = 1 << 20, RunInBackground = false };

    public BlockStoreOptions Options { get; }
    public string Directory { get; }
    public BlockStore Store { get; private set; }

    /// <summary>What a SIGKILL leaves: the files as they are now, opened elsewhere.</summary>
    public BlockDevice Crash() => new(Options, Directory);

    public void Reopen()
    {
        Store.Dispose();
        Store = BlockStore.Open(Directory, Options, TimeProvider.System);
    }

    public static void Copy(string from, string to)
    {
        foreach (var path in System.IO.Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            if (Path.GetFileName(path) == "lock" || path.EndsWith(".sock", StringComparison.Ordinal)) continue;
            var target = Path.Combine(to, Path.GetRelativePath(from, path));
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            using var source = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var copy = File.Create(target);
            source.CopyTo(copy);
        }
    }

    public void Dispose()
    {
        Store.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}

internal static class VolumeTesting
{
    public static BlockStatus Write(this BlockVolume volume, long block, ReadOnlySpan<byte> data, long epoch = 0)
    {
        unsafe
        {
            // SAFETY: pinned for the time of the call.
            fixed (byte* start = data)
            lock (volume)
            {
                var write = new JournalWrite
                {
                    Sequence = volume.LastSequence + 1, Offset = block * BlockDevice.Block, Length = data.Length, Data = (nint)start,
                };
                return volume.Write(epoch, MemoryMarshal.CreateReadOnlySpan(ref write, 1));
            }
        }
    }

    /// <summary>Fills blocks with a value that tells them apart: the value, and the number of the block.</summary>
    public static BlockStatus Fill(this BlockVolume volume, long block, int count, int value, long epoch = 0) =>
        volume.Write(block, Pattern(block, count, value), epoch);

    public static BlockStatus Zero(this BlockVolume volume, long block, long count, long epoch = 0)
    {
        lock (volume)
        {
            var write = new JournalWrite
            {
                Sequence = volume.LastSequence + 1, Offset = block * BlockDevice.Block, Length = count * BlockDevice.Block, Kind = RecordKind.Zero,
            };
            return volume.Write(epoch, MemoryMarshal.CreateReadOnlySpan(ref write, 1));
        }
    }

    public static byte[] Pattern(long block, int count, int value)
    {
        var data = new byte[count * BlockDevice.Block];
        if (value == 0) return data;
        var words = MemoryMarshal.Cast<byte, long>(data.AsSpan());
        for (var i = 0; i < words.Length; i++) words[i] = (block + i * 8 / BlockDevice.Block) * 1_000_003 + value;
        return data;
    }

    /// <summary>The value each block was filled with; -1 when it is not a pattern at all.</summary>
    public static int[] Values(this BlockVolume volume, long epoch = 0)
    {
        var data = new byte[volume.SizeBytes];
        Assert.Equal(BlockStatus.Ok, volume.Read(epoch, 0, data));
        return Values(data);
    }

    public static int[] Values(byte[] data)
    {
        var values = new int[data.Length / BlockDevice.Block];
        for (var block = 0; block < values.Length; block++)
        {
            var content = data.AsSpan(block * BlockDevice.Block, BlockDevice.Block);
            var value = content.ContainsAnyExcept((byte)0) ? (int)(BitConverter.ToInt64(content) - block * 1_000_003L) : 0;
            values[block] = content.SequenceEqual(Pattern(block, 1, value)) ? value : -1;
        }
        return values;
    }
}
