using Nephos.LocalStorage.Objects;
using Xunit;

namespace Nephos.StorageEngine.Tests.Objects;

public sealed class VolumeStoreTests : IDisposable
{
    private const long VolumeBytes = 4 << 20;
    private readonly TemporaryDirectory _directory = new();
    private readonly Guid _device = new("11111111-2222-3333-4444-555555555555");
    private long _capacityBytes = long.MaxValue;
    private VolumeStore? _store;

    private VolumeStore Store => _store ??= VolumeStore.Open(
        new FileMedium(_directory.Path),
        _device,
        new VolumeStoreOptions { VolumeBytes = VolumeBytes },
        bytes => Directory.GetFiles(_directory.Sub("volumes")).Length * VolumeBytes + bytes <= _capacityBytes,
        TimeProvider.System);

    [Theory]
    [InlineData(1)]
    [InlineData(512)]
    [InlineData(65_536)]
    [InlineData(65_537)]
    [InlineData(1_048_576)]
    public async Task A_frame_reads_back_whole_and_by_blocks(int length)
    {
        var payload = Bytes(length);
        Assert.Equal(StoreStatus.Ok, await AppendAsync(Key(1), payload));

        Assert.Equal(payload, ReadAll(Key(1)));
        var lastBlock = (length - 1) / NeedleHeader.BlockBytes;
        var buffer = new byte[NeedleHeader.PayloadBytesMax];
        Assert.Equal(StoreStatus.Ok, Store.Read(Key(1), lastBlock, buffer, out var total, out var read));
        Assert.Equal(length, total);
        Assert.Equal(payload[(lastBlock * NeedleHeader.BlockBytes)..], buffer[..read]);
    }

    [Fact]
    public async Task Frames_of_many_writers_at_once_are_all_there()
    {
        Assert.True(Store.HasRoom);
        await Task.WhenAll(Enumerable.Range(0, 400).Select(n => Task.Run(() => AppendAsync(Key((uint)n), Bytes(100 * n, n)).AsTask())));

        for (var n = 0; n < 400; n++)
        {
            Assert.Equal(Bytes(100 * n, n), ReadAll(Key((uint)n)));
        }
    }

    [Fact]
    public async Task Unaligned_and_aligned_buffers_are_stored_alike()
    {
        var odd = GC.AllocateUninitializedArray<byte>(300_001, pinned: true);
        Bytes(300_001).CopyTo(odd, 0);
        await AppendAsync(Key(1), odd.AsMemory(1));

        Assert.Equal(odd[1..], ReadAll(Key(1)));
    }

    [Fact]
    public async Task A_deleted_blob_is_gone_with_all_its_frames_and_stays_gone()
    {
        await AppendAsync(Key(1, 0), Bytes(5000));
        await AppendAsync(Key(1, 1), Bytes(5000));
        await AppendAsync(Key(2, 0), Bytes(5000));

        Assert.Equal(StoreStatus.Ok, await Store.DeleteAsync(Key(1)));
        Assert.Equal(StoreStatus.NotFound, await Store.DeleteAsync(Key(1)));
        Reopen(removeIndex: false);
        AssertOnlyTheSecond();
        Reopen(removeIndex: true);
        AssertOnlyTheSecond();

        void AssertOnlyTheSecond()
        {
            Assert.Equal(StoreStatus.NotFound, Store.Read(Key(1, 0), 0, new byte[8192], out _, out _));
            Assert.Equal([Key(2, 0)], Store.List(default, ulong.MaxValue, 10).Select(e => e.Key));
        }
    }

    [Fact]
    public async Task The_index_is_rebuilt_from_the_volumes()
    {
        for (uint n = 0; n < 30; n++)
        {
            await AppendAsync(Key(n), Bytes(400_000, (int)n));
        }

        Reopen(removeIndex: true);

        for (uint n = 0; n < 30; n++)
        {
            Assert.Equal(Bytes(400_000, (int)n), ReadAll(Key(n)));
        }

        Assert.Equal(30 * NeedleHeader.TotalBytesFor(400_000), Store.LiveBytes);
    }

    [Fact]
    public async Task A_torn_tail_loses_nothing_before_it_and_appends_go_on_behind_it()
    {
        await AppendAsync(Key(1), Bytes(10_000));
        await AppendAsync(Key(2), Bytes(10_000));
        Close(removeIndex: true);
        var file = VolumeFiles().Single(HasNeedles);
        var second = OffsetOf(file, Key(2));
        Damage(file, second + NeedleHeader.SizeBytes + 4096, 512);

        Assert.Equal(Bytes(10_000), ReadAll(Key(1)));
        Assert.Equal(StoreStatus.NotFound, Store.Read(Key(2), 0, new byte[16_384], out _, out _));
        await AppendAsync(Key(3), Bytes(20_000));
        Reopen(removeIndex: true);
        Assert.Equal(Bytes(10_000), ReadAll(Key(1)));
        Assert.Equal(Bytes(20_000), ReadAll(Key(3)));
    }

    [Fact]
    public async Task Every_cut_of_the_last_write_recovers_to_before_or_after_it()
    {
        await AppendAsync(Key(1), Bytes(3000));
        Close(removeIndex: true);
        var file = VolumeFiles().Single(HasNeedles);
        var before = File.ReadAllBytes(file);
        await AppendAsync(Key(2), Bytes(3000, 2));
        Close(removeIndex: true);
        var after = File.ReadAllBytes(file);
        var changed = Enumerable.Range(0, after.Length / 512).Where(s => !before.AsSpan(s * 512, 512).SequenceEqual(after.AsSpan(s * 512, 512))).ToArray();
        Assert.True(changed.Length is > 2 and < 12, $"{changed.Length} sectors");

        for (var subset = 0; subset < 1 << changed.Length; subset += 3)
        {
            var image = before.ToArray();
            for (var bit = 0; bit < changed.Length; bit++)
            {
                if ((subset >> bit & 1) == 1)
                {
                    after.AsSpan(changed[bit] * 512, 512).CopyTo(image.AsSpan(changed[bit] * 512));
                }
            }

            File.WriteAllBytes(file, image);
            Assert.Equal(Bytes(3000), ReadAll(Key(1)));
            var status = Store.Read(Key(2), 0, new byte[8192], out _, out _);
            Assert.Equal(image.AsSpan().SequenceEqual(after) ? StoreStatus.Ok : StoreStatus.NotFound, status);
            Close(removeIndex: true);
        }
    }

    [Fact]
    public async Task A_damaged_payload_is_reported_and_never_returned()
    {
        await AppendAsync(Key(1), Bytes(200_000));
        Store.Dispose();
        _store = null;
        Damage(VolumeFiles().Single(HasNeedles), OffsetOf(VolumeFiles().Single(HasNeedles), Key(1)) + NeedleHeader.SizeBytes + 100_000, 1);

        var buffer = new byte[NeedleHeader.PayloadBytesMax];
        Assert.Equal(StoreStatus.Corrupt, Store.Read(Key(1), 0, buffer, out _, out _));
        Assert.Equal(StoreStatus.Ok, Store.Read(Key(1), 2, buffer, out _, out _));
        var corrupt = new List<NeedleKey>();
        Assert.True(Store.ScrubStep(long.MaxValue, corrupt));
        Assert.Equal([Key(1)], corrupt);

        await AppendAsync(Key(1), Bytes(200_000));
        Assert.Equal(Bytes(200_000), ReadAll(Key(1)));
    }

    [Fact]
    public async Task A_volume_with_a_damaged_first_page_is_adopted_again()
    {
        await AppendAsync(Key(1), Bytes(10_000));
        Close(removeIndex: true);
        Damage(VolumeFiles().Single(HasNeedles), 0, 4096);

        Assert.Equal(Bytes(10_000), ReadAll(Key(1)));
    }

    [Fact]
    public async Task A_full_device_refuses_writes_but_deletes_compacts_and_then_writes_again()
    {
        _capacityBytes = 4 * VolumeBytes;
        uint written = 0;
        while (await AppendAsync(Key(written), Bytes(1 << 20, (int)written)) == StoreStatus.Ok)
        {
            written++;
        }

        Assert.Equal(StoreStatus.Full, await AppendAsync(Key(1000), Bytes(1 << 20)));
        Assert.Equal(9U, written); // Three volumes of three frames; the fourth is the reserve.
        for (uint n = 0; n < written; n += 2)
        {
            Assert.Equal(StoreStatus.Ok, await Store.DeleteAsync(Key(n)));
        }

        while (await Store.CompactStepAsync(force: true, CancellationToken.None))
        {
        }

        Assert.Equal(StoreStatus.Ok, await AppendAsync(Key(1000), Bytes(1 << 20, 1000)));
        Reopen(removeIndex: true);
        for (uint n = 0; n < written; n++)
        {
            if (n % 2 == 1)
            {
                Assert.Equal(Bytes(1 << 20, (int)n), ReadAll(Key(n)));
            }
            else
            {
                Assert.Equal(StoreStatus.NotFound, Store.Read(Key(n), 0, new byte[1 << 20], out _, out _));
            }
        }

        Assert.Equal(Bytes(1 << 20, 1000), ReadAll(Key(1000)));
    }

    [Fact]
    public async Task Compaction_gives_dead_volumes_back_without_growing()
    {
        for (var round = 0; round < 20; round++)
        {
            for (uint n = 0; n < 4; n++)
            {
                await AppendAsync(Key(n), Bytes(1 << 20, round));
            }

            while (await Store.CompactStepAsync(force: false, CancellationToken.None))
            {
            }
        }

        Assert.True(VolumeFiles().Length <= 6, $"{VolumeFiles().Length} files");
        for (uint n = 0; n < 4; n++)
        {
            Assert.Equal(Bytes(1 << 20, 19), ReadAll(Key(n)));
        }
    }

    [Fact]
    public async Task Listing_gives_a_range_of_placement_hashes_in_order()
    {
        for (uint n = 0; n < 10; n++)
        {
            await AppendAsync(Key(n), Bytes(10));
        }

        Assert.Equal([Key(3), Key(4), Key(5)], Store.List(Key(3), Key(5).PlacementHash, 100).Select(e => e.Key));
        Assert.Equal([Key(3), Key(4)], Store.List(Key(3), ulong.MaxValue, 2).Select(e => e.Key));
    }

    public void Dispose()
    {
        _store?.Dispose();
        _directory.Dispose();
    }

    private static NeedleKey Key(uint blob, uint frame = 0) => new((ulong)blob << 40, blob, 7, frame);

    private static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private ValueTask<StoreStatus> AppendAsync(NeedleKey key, ReadOnlyMemory<byte> payload)
    {
        var checksums = new ulong[NeedleHeader.BlockCountMax];
        NeedleHeader.HashBlocks(payload.Span, checksums);
        return Store.AppendAsync(new NeedleWrite { Key = key, Payload = payload, Checksums = checksums });
    }

    private byte[] ReadAll(NeedleKey key)
    {
        var buffer = new byte[NeedleHeader.PayloadBytesMax];
        Assert.Equal(StoreStatus.Ok, Store.Read(key, 0, buffer, out var total, out var read));
        Assert.Equal(total, read);
        return buffer[..read];
    }

    private void Close(bool removeIndex)
    {
        Store.Dispose();
        _store = null;
        if (removeIndex)
        {
            Directory.Delete(_directory.Sub("needles"), recursive: true);
        }
    }

    private void Reopen(bool removeIndex) => Close(removeIndex);

    private string[] VolumeFiles() => Directory.GetFiles(_directory.Sub("volumes"));

    private static bool HasNeedles(string file) => Offsets(file).Any();

    private static long OffsetOf(string file, NeedleKey key) => Offsets(file).Single(n => n.Header.Key == key).Offset;

    private static IEnumerable<(NeedleHeader Header, long Offset)> Offsets(string file)
    {
        var bytes = File.ReadAllBytes(file);
        for (var offset = SegmentHeader.HeaderBytes; offset < bytes.Length; offset += 512)
        {
            if (NeedleHeader.TryRead(bytes.AsSpan(offset, 512), out var header))
            {
                yield return (header, offset);
            }
        }
    }

    private static void Damage(string file, long offset, int length)
    {
        using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite);
        var bytes = new byte[length];
        RandomAccess.Read(handle, bytes, offset);
        for (var i = 0; i < length; i++)
        {
            bytes[i] ^= 0x55;
        }

        RandomAccess.Write(handle, bytes, offset);
    }
}
