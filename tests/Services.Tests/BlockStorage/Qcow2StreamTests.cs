using CsCheck;
using Nephos.BlockStorage.Devices;
using Nephos.BlockStorage.Images;
using Nephos.Images.Formats;
using Nephos.Services.Tests.Images;
using Xunit;

namespace Nephos.Services.Tests.BlockStorage;

public sealed class Qcow2StreamTests
{
    private const int BlockBytes = 4096;
    private const int ClusterBytes = 1 << 16;
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public void What_was_on_the_disk_is_in_the_file_and_nothing_else_is() =>
        Gen.Select(Gen.Int[1, 600], Gen.Int[0, 40], Gen.Int).Sample((blocks, writes, seed) =>
        {
            var random = new Random(seed);
            var disk = new byte[blocks * BlockBytes];
            var used = new SortedSet<int>();
            for (var write = 0; write < writes; write++)
            {
                var block = random.Next(blocks);
                random.NextBytes(disk.AsSpan(block * BlockBytes, BlockBytes));
                used.Add(block);
            }
            var file = FileOf(disk.Length, [.. used.Select(block => new BlockChunk((long)block * BlockBytes, disk.AsMemory(block * BlockBytes, BlockBytes)))]);

            var read = Qcow2Disk.OpenAsync(new MemoryFile(file), 1L << 40, None).Result;
            read.VerifyAsync(None).GetAwaiter().GetResult();
            Assert.Equal(disk.Length, read.VirtualSizeBytes);
            var content = new byte[disk.Length];
            for (var offset = read.NextData(0); offset < disk.Length; offset = read.NextData(offset + 512))
            {
                read.ReadAsync(offset, content.AsMemory((int)offset, 512), None).AsTask().GetAwaiter().GetResult();
            }
            Assert.Equal(disk, content);
            // Header, refcount table, refcount block, L1, at most one L2, and the clusters that something is in.
            var clusters = used.Select(block => block * BlockBytes / ClusterBytes).Distinct().Count();
            Assert.Equal((4 + Math.Sign(clusters) + clusters) * ClusterBytes, file.Length);
        }, iter: 100);

    [Fact]
    public async Task A_large_disk_with_little_on_it_is_a_small_file()
    {
        const long size = 2L << 40;
        var chunks = new[] { new BlockChunk(0, new byte[] { 1 }), new BlockChunk(size - BlockBytes, new byte[] { 2 }) };
        var plan = await Qcow2Stream.PlanAsync(size, chunks.ToAsyncEnumerable(), None);
        Assert.InRange(plan.SizeBytes, 1, 1 << 20);

        var read = await Qcow2Disk.OpenAsync(new MemoryFile(FileOf(size, chunks)), size, None);
        var sector = new byte[512];
        Assert.True(await read.ReadAsync(size - BlockBytes, sector, None));
        Assert.Equal(2, sector[0]);
    }

    private static byte[] FileOf(long size, BlockChunk[] chunks)
    {
        var plan = Qcow2Stream.PlanAsync(size, chunks.ToAsyncEnumerable(), None).Result;
        var file = new byte[plan.SizeBytes];
        var end = 0L;
        foreach (var chunk in plan.WriteAsync(chunks.ToAsyncEnumerable(), None).ToBlockingEnumerable())
        {
            Assert.True(chunk.Offset >= end, "the file is written in ascending order");
            chunk.Data.CopyTo(file.AsMemory((int)chunk.Offset));
            end = chunk.Offset + chunk.Data.Length;
        }
        return file;
    }
}
