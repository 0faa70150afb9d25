using System.Buffers.Binary;
using System.Diagnostics;
using CsCheck;
using Nephos.Images.Blocks;
using Nephos.Images.Formats;
using Xunit;

namespace Nephos.Services.Tests.Images;

public sealed class Qcow2DiskTests
{
    private const long MaxVirtualBytes = 1L << 30;

    [Fact]
    public void What_was_put_into_an_image_is_read_from_it() =>
        Gen.Select(Gen.Int[9, 16], Gen.Int[0, 400], Gen.Int[2, 3], Gen.Bool, Gen.Int).Sample((clusterBits, sectors, version, zstandard, seed) =>
        {
            var disk = SparseDisk(sectors * 512, new Random(seed));
            var image = new Qcow2Builder { ClusterBits = clusterBits, Version = version, Zstandard = zstandard && version == 3 }
                .Build(disk, cluster => cluster % 3 == 0);
            Assert.Equal(disk, ReadAll(image));
        }, iter: 150);

    [Fact]
    public void However_an_image_is_damaged_reading_it_ends_with_content_or_with_a_named_fault() =>
        Gen.Select(Gen.Int, Gen.Int[1, 12], Gen.Bool).Sample((seed, changes, compress) =>
        {
            var random = new Random(seed);
            var image = new Qcow2Builder { ClusterBits = 9 + random.Next(4) }.Build(SparseDisk(128 * 512, random), cluster => compress && cluster % 2 == 0);
            for (var i = 0; i < changes; i++)
            {
                // Headers and tables are where the danger is.
                image[random.Next(random.Next(2) == 0 ? Math.Min(image.Length, 1100) : image.Length)] = (byte)random.Next(256);
            }
            var file = new MemoryFile(random.Next(4) == 0 ? image[..random.Next(image.Length)] : image);
            try
            {
                var disk = Qcow2Disk.OpenAsync(file, MaxVirtualBytes, CancellationToken.None).Result;
                disk.VerifyAsync(CancellationToken.None).GetAwaiter().GetResult();
                Assert.InRange(disk.VirtualSizeBytes, 0, MaxVirtualBytes);
                long end = 0;
                foreach (var (offset, length) in Ranges(disk))
                {
                    Assert.InRange(offset, end, disk.VirtualSizeBytes);
                    end = offset + length;
                }
                Assert.InRange(end, 0, disk.VirtualSizeBytes);
            }
            catch (Exception exception) when ((exception as AggregateException)?.InnerException is InvalidDataException || exception is InvalidDataException)
            {
                // Named, and not a crash.
            }
        }, iter: 3000);

    [Theory]
    [InlineData(8, 0x2000, "backing file")]
    [InlineData(72, 4, "external data file")]
    [InlineData(72, 2, "corrupt")]
    [InlineData(72, 16, "not known")]
    [InlineData(72, 1L << 40, "not known")]
    [InlineData(24, 513, "virtual size")]
    [InlineData(24, 1L << 60, "virtual size")]
    [InlineData(40, 1L << 40, "L1 table")]
    [InlineData(40, 7, "L1 table")]
    public async Task A_header_that_reaches_out_or_lies_is_refused(int offset, long value, string rule)
    {
        var image = new Qcow2Builder().Build(SparseDisk(64 * 512, new Random(1)), _ => false);
        Write(image, offset, value);
        var exception = await Assert.ThrowsAsync<InvalidDataException>(
            () => Qcow2Disk.OpenAsync(new MemoryFile(image), MaxVirtualBytes, CancellationToken.None));
        Assert.Contains(rule, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_cut_short_fails_verification()
    {
        var image = new Qcow2Builder().Build(FullDisk(64 * 4096), _ => false);
        Assert.Equal(64 * 4096, (await Qcow2Disk.OpenAsync(new MemoryFile(image), MaxVirtualBytes, default)).VirtualSizeBytes);
        await Assert.ThrowsAsync<InvalidDataException>(async () =>
            await (await Qcow2Disk.OpenAsync(new MemoryFile(image[..(image.Length / 2)]), MaxVirtualBytes, default)).VerifyAsync(default));
    }

    [Fact]
    public async Task Tables_that_use_one_cluster_everywhere_are_refused()
    {
        var image = new Qcow2Builder { ClusterBits = 9 }.Build(FullDisk(128 * 512), _ => false);
        var l1 = (int)BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(40));
        Array.Copy(image, l1, image, l1 + 8, 8);
        var exception = await Assert.ThrowsAsync<InvalidDataException>(() => Qcow2Disk.OpenAsync(new MemoryFile(image), MaxVirtualBytes, default));
        Assert.Contains("same L2 table", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_sparse_disk_is_passed_without_reading_it()
    {
        var disk = new byte[64 << 20];
        disk[64 * 1024 * 1024 - 1] = 7;
        var file = new MemoryFile(new Qcow2Builder().Build(disk, _ => false));
        var ranges = new List<(long Offset, int Length)>();
        await foreach (var range in NonZeroRanges.ReadAsync(await Qcow2Disk.OpenAsync(file, MaxVirtualBytes, default), default))
        {
            ranges.Add((range.OffsetBytes, range.Data.Length));
        }
        Assert.Equal([((64 << 20) - 4096L, 4096)], ranges);
        Assert.InRange(file.BytesRead, 1, 256 * 1024);
    }

    [Fact]
    public async Task A_raw_disk_of_an_odd_size_ends_in_whole_sectors()
    {
        var bytes = FullDisk(3526);
        var disk = new RawDisk(new MemoryFile(bytes));
        Assert.Equal(3584, disk.VirtualSizeBytes);
        var content = await ContentAsync(disk);
        Assert.Equal(bytes, content[..bytes.Length]);
        Assert.Equal(new byte[58], content[bytes.Length..]);
    }

    [QemuImgTheory]
    [InlineData("")]
    [InlineData("-c")]
    [InlineData("-c -o compression_type=zstd")]
    [InlineData("-o compat=0.10")]
    [InlineData("-c -o cluster_size=512")]
    [InlineData("-o cluster_size=2M")]
    [InlineData("-o preallocation=metadata")]
    public async Task Images_made_by_qemu_img_are_read_as_it_reads_them(string how)
    {
        var folder = Directory.CreateTempSubdirectory("nephos-qcow2-");
        try
        {
            var disk = SparseDisk(5 << 20, new Random(3));
            var raw = Path.Combine(folder.FullName, "raw");
            var qcow2 = Path.Combine(folder.FullName, "qcow2");
            await File.WriteAllBytesAsync(raw, disk);
            using var process = Process.Start("qemu-img", $"convert -f raw -O qcow2 {how} {raw} {qcow2}");
            await process.WaitForExitAsync();
            Assert.Equal(0, process.ExitCode);
            var image = await File.ReadAllBytesAsync(qcow2);
            await (await Qcow2Disk.OpenAsync(new MemoryFile(image), MaxVirtualBytes, default)).VerifyAsync(default);
            Assert.Equal(disk, ReadAll(image));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Write(byte[] image, int offset, long value) => BinaryPrimitives.WriteInt64BigEndian(image.AsSpan(offset), value);

    internal static byte[] FullDisk(int bytes)
    {
        var disk = new byte[bytes];
        new Random(5).NextBytes(disk);
        return disk;
    }

    /// <summary>Runs of zeros, of noise and of text.</summary>
    internal static byte[] SparseDisk(int bytes, Random random)
    {
        var disk = new byte[bytes];
        for (var at = 0; at < bytes;)
        {
            var run = disk.AsSpan(at, Math.Min(bytes - at, 1 + random.Next(1 << random.Next(4, 17))));
            switch (random.Next(3))
            {
                case 0:
                    random.NextBytes(run);
                    break;
                case 1:
                    run.Fill((byte)random.Next(256));
                    break;
            }
            at += run.Length;
        }
        return disk;
    }

    private static byte[] ReadAll(byte[] image) =>
        ContentAsync(Qcow2Disk.OpenAsync(new MemoryFile(image), MaxVirtualBytes, CancellationToken.None).Result).Result;

    private static async Task<byte[]> ContentAsync(IDisk disk)
    {
        var content = new byte[disk.VirtualSizeBytes];
        long end = 0;
        await foreach (var range in NonZeroRanges.ReadAsync(disk, default))
        {
            Assert.True(range.OffsetBytes >= end && range.OffsetBytes % NonZeroRanges.BlockBytes == 0);
            Assert.InRange(range.Data.Length, 1, NonZeroRanges.MaxRangeBytes);
            Assert.True(range.Data.Length % NonZeroRanges.BlockBytes == 0 || range.OffsetBytes + range.Data.Length == content.Length);
            range.Data.CopyTo(content.AsMemory((int)range.OffsetBytes));
            end = range.OffsetBytes + range.Data.Length;
        }
        return content;
    }

    private static List<(long Offset, int Length)> Ranges(IDisk disk)
    {
        var ranges = new List<(long Offset, int Length)>();
        var reader = NonZeroRanges.ReadAsync(disk, CancellationToken.None).GetAsyncEnumerator();
        while (reader.MoveNextAsync().AsTask().GetAwaiter().GetResult())
        {
            ranges.Add((reader.Current.OffsetBytes, reader.Current.Data.Length));
        }
        return ranges;
    }
}

/// <summary>Skipped by name where qemu-img is missing.</summary>
public sealed class QemuImgTheoryAttribute : TheoryAttribute
{
    public QemuImgTheoryAttribute()
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        if (!path.Split(':').Any(folder => File.Exists(Path.Combine(folder, "qemu-img"))))
        {
            Skip = "qemu-img is not installed";
        }
    }
}
