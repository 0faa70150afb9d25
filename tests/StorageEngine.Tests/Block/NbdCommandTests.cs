using Nephos.Client.Volumes;
using Nephos.LocalStorage.Block;
using Xunit;
using C = Nephos.StorageEngine.Tests.Block.NbdTestClient;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class NbdCommandTests
{
    [Fact]
    public async Task B9_A_wrong_request_magic_hangs_up()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        client.Send(C.RequestBytes(C.Read, 1, 0, 4096, magic: 0x25609514));
        Assert.True(client.IsClosed());
    }

    [Fact]
    public async Task B9_The_payload_of_a_refused_write_is_dropped_and_the_stream_goes_on()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        Assert.Equal(C.Enospc, client.DoWrite(NbdDevice.Size, new byte[4096]));
        Assert.Equal(C.Einval, client.DoWrite(0, new byte[4096], flags: 0x4000));
        Assert.Equal(C.Einval, client.Do(C.Write, 0, (32 << 20) + 4096, payload: new byte[(32 << 20) + 4096]));
        Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 1, 9)));
        Assert.Equal(9, VolumeTesting.Values(client.DoRead(0, 4096))[0]);
    }

    [Fact]
    public async Task B10_Holes_of_a_long_read_are_chunks_of_their_own_unless_fragments_are_forbidden()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        client.DoWrite(8 * 4096, VolumeTesting.Pattern(8, 2, 4));
        var expected = new byte[1 << 20];
        VolumeTesting.Pattern(8, 2, 4).CopyTo(expected, 8 * 4096);
        Assert.Equal(expected, client.DoRead(0, 1 << 20));
        Assert.Contains(client.Chunks, chunk => chunk.Type == 2);
        client.Chunks.Clear();
        Assert.Equal(expected, client.DoRead(0, 1 << 20, C.DontFragment));
        Assert.Equal([(1, 1)], client.Chunks.Select(chunk => ((int)chunk.Type, (int)chunk.Flags)));
        using var simple = device.Connect(structured: false);
        Assert.Equal(expected, simple.DoRead(0, 1 << 20));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task B10_A_read_of_damaged_data_is_an_error_and_the_connection_goes_on(bool structured)
    {
        await using var device = await NbdDevice.OpenAsync(BlockDevice.Small);
        using var client = device.Connect(structured);
        client.DoWrite(0, VolumeTesting.Pattern(0, 256, 1));
        device.Device.Store.RunBackgroundStep(drain: true);
        BlockRecoveryTests.Corrupt(Directory.GetFiles(device.Device.Directory, "0000.data", SearchOption.AllDirectories).Single(), 100 * 4096);
        foreach (var (offset, length) in new[] { (100u * 4096, 4096u), (0u, 1u << 20), (90u * 4096, 128u << 10) })
        {
            Assert.Null(client.TryRead(offset, length, 0, out var error));
            Assert.Equal(C.Eio, error);
        }
        Assert.Equal(VolumeTesting.Pattern(0, 100, 1), client.DoRead(0, 100 * 4096));
    }

    [Fact]
    public async Task B11_Unaligned_writes_keep_their_neighbours()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        var expected = VolumeTesting.Pattern(0, 16, 3);
        client.DoWrite(0, expected);
        var random = new Random(11);
        for (var i = 0; i < 60; i++)
        {
            var (offset, length) = (random.Next(expected.Length - 1), random.Next(1, 9000));
            length = Math.Min(length, expected.Length - offset);
            var data = new byte[length];
            random.NextBytes(data);
            Assert.Equal(0u, i % 5 == 4 ? client.Do(C.WriteZeroes, (ulong)offset, (uint)length) : client.DoWrite((ulong)offset, data));
            if (i % 5 == 4) data.AsSpan().Clear();
            data.CopyTo(expected, offset);
            Assert.Equal(expected.AsSpan(offset, length).ToArray(), client.DoRead((ulong)offset, (uint)length));
        }
        Assert.Equal(expected, client.DoRead(0, (uint)expected.Length));
    }

    [Fact]
    public async Task B11_Unaligned_and_aligned_writes_of_one_block_at_once_lose_nothing()
    {
        await using var device = await NbdDevice.OpenAsync();
        // Each client owns its 512 bytes of the same block.
        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Task.Factory.StartNew(
            () =>
            {
                using var client = device.Connect();
                var mine = new byte[512];
                for (byte round = 1; round < 100; round++)
                {
                    mine.AsSpan().Fill(round);
                    Assert.Equal(0u, client.DoWrite((ulong)i * 512, mine));
                    Assert.Equal(mine, client.DoRead((ulong)i * 512, 512));
                }
            },
            TaskCreationOptions.LongRunning)));
    }

    [Fact]
    public async Task B12_Flush_takes_no_range_and_covers_writes_of_other_connections()
    {
        var syncs = 0;
        await using var device = await NbdDevice.OpenAsync(BlockDevice.Small with
        {
            Faults = (operation, path, _, _) =>
            {
                if (operation == FileOperation.Sync && path.EndsWith(".seg", StringComparison.Ordinal)) Interlocked.Increment(ref syncs);
                return 0;
            },
        });
        using var writer = device.Connect();
        using var flusher = device.Connect();
        Assert.Equal(C.Einval, flusher.Do(C.Flush, 4096, 0));
        Assert.Equal(C.Einval, flusher.Do(C.Flush, 0, 4096));
        writer.DoWrite(0, new byte[4096]);
        var before = Volatile.Read(ref syncs);
        Assert.Equal(0u, flusher.Do(C.Flush, 0, 0));
        Assert.Equal(before + 1, Volatile.Read(ref syncs));
        Assert.Equal(0u, flusher.Do(C.Flush, 0, 0));
        Assert.Equal(before + 1, Volatile.Read(ref syncs));
    }

    [Fact]
    public async Task B13_Force_unit_access_is_durable_before_the_answer_and_legal_everywhere()
    {
        var syncs = 0;
        await using var device = await NbdDevice.OpenAsync(BlockDevice.Small with
        {
            Faults = (operation, path, _, _) =>
            {
                if (operation == FileOperation.Sync && path.EndsWith(".seg", StringComparison.Ordinal)) Interlocked.Increment(ref syncs);
                return 0;
            },
        });
        using var client = device.Connect(allocation: true);
        client.DoWrite(0, new byte[4096]);
        foreach (var (command, payload) in new[] { (C.Write, new byte[8192]), (C.Write, new byte[8192]), (C.WriteZeroes, null), (C.Trim, null) })
        {
            var before = Volatile.Read(ref syncs);
            Assert.Equal(0u, client.Do(command, 4096, 8192, C.Fua, payload));
            Assert.True(Volatile.Read(ref syncs) > before);
        }
        client.DoRead(0, 4096, C.Fua);
        Assert.Equal(0u, client.Do(C.Flush, 0, 0, C.Fua));
        Assert.Equal(0u, client.Do(C.Cache, 0, 4096, C.Fua));
        Assert.NotEmpty(client.DoBlockStatus(0, 4096, C.Fua));
    }

    [Fact]
    public async Task B14_Trimmed_blocks_read_as_zero_and_parts_of_blocks_stay()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        client.DoWrite(0, VolumeTesting.Pattern(0, 8, 2));
        Assert.Equal(0u, client.Do(C.Trim, 100, 4000));
        Assert.Equal(2, VolumeTesting.Values(client.DoRead(0, 4096))[0]);
        Assert.Equal(0u, client.Do(C.Trim, 4000, 9000));
        Assert.Equal([2, 0, 0, 2, 2, 2, 2, 2], VolumeTesting.Values(client.DoRead(0, 8 * 4096)));
    }

    [Fact]
    public async Task B15_Fast_zeroing_always_succeeds()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        Assert.Equal(2048, client.TransmissionFlags & 2048);
        client.DoWrite(0, VolumeTesting.Pattern(0, 8, 2));
        Assert.Equal(0u, client.Do(C.WriteZeroes, 0, (uint)NbdDevice.Size, C.FastZero));
        Assert.Equal(0u, client.Do(C.WriteZeroes, 4096, 4096, C.FastZero | C.NoHole));
        Assert.All(VolumeTesting.Values(client.DoRead(0, 8 * 4096)), value => Assert.Equal(0, value));
    }

    [Fact]
    public async Task B16_Block_status_describes_what_is_there()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect(allocation: true);
        Assert.Equal([((uint)NbdDevice.Size, 3u)], client.DoBlockStatus(0, (uint)NbdDevice.Size));
        client.DoWrite(4096, VolumeTesting.Pattern(1, 2, 2));
        Assert.Equal([(4096u, 3u), (8192u, 0u), ((uint)NbdDevice.Size - 12288, 3u)], client.DoBlockStatus(0, (uint)NbdDevice.Size));
        Assert.Equal([(4096u, 3u)], client.DoBlockStatus(0, (uint)NbdDevice.Size, C.RequestOne));
        Assert.Equal([(1000u, 0u)], client.DoBlockStatus(5000, 1000, C.RequestOne));
        client.SendRequest(C.BlockStatus, 0, 0);
        Assert.Equal(C.Einval, client.ReceiveChunk().Error);
    }

    [Fact]
    public async Task B17_Cache_is_answered_at_once()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        Assert.Equal(0u, client.Do(C.Cache, 0, (uint)NbdDevice.Size));
        Assert.Equal(C.Einval, client.Do(C.Cache, 4096, (uint)NbdDevice.Size));
    }

    [Fact]
    public async Task B18_Disconnect_finishes_what_is_in_flight_and_closes_without_an_answer()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        client.Send([
            .. C.RequestBytes(C.Write, 1, 0, 4096), .. VolumeTesting.Pattern(0, 1, 8), .. C.RequestBytes(C.Flush, 2, 0, 0), .. C.RequestBytes(C.Disconnect, 3, 0, 0)]);
        Assert.Equal([1ul, 2ul], new[] { client.ReceiveChunk().Cookie, client.ReceiveChunk().Cookie }.Order());
        Assert.True(client.IsClosed());
        Assert.Equal(8, device.Volume.Values(epoch: ReplicaEpochs.OfHead(1))[0]);
    }

    [Fact]
    public async Task B19_Empty_requests_succeed_and_unknown_commands_and_flags_are_invalid_without_hanging_up()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        foreach (var command in new[] { C.Write, C.Trim, C.WriteZeroes, C.Cache }) Assert.Equal(0u, client.Do(command, 4096, 0));
        Assert.Empty(client.DoRead(4096, 0));
        Assert.Equal(C.Einval, client.Do(77, 0, 4096));
        Assert.Equal(C.Einval, client.Do(C.Trim, 0, 4096, C.FastZero));
        Assert.Equal(C.Einval, client.Do(C.Flush, 0, 0, 0x8000));
        Assert.Equal(0u, client.Do(C.Flush, 0, 0));
    }

    [Fact]
    public async Task B20_What_was_acknowledged_is_in_the_journal_when_the_process_dies()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        for (var i = 0; i < 50; i++) Assert.Equal(0u, client.DoWrite((ulong)i * 4096, VolumeTesting.Pattern(i, 1, i + 1)));
        using var crashed = device.Device.Crash();
        Assert.Equal(Enumerable.Range(1, 50), crashed.Store.GetVolume(device.Volume.Id).Values(epoch: ReplicaEpochs.OfHead(1))[..50]);
    }

    [Fact]
    public async Task B24_Requests_of_a_lost_connection_are_done_before_a_new_one_is_served()
    {
        await using var device = await NbdDevice.OpenAsync();
        for (var round = 1; round <= 20; round++)
        {
            var old = device.Connect();
            // Many requests nobody waits for, then the client is gone and comes back with a newer value for the same block.
            var requests = new List<byte>();
            for (var i = 0; i < 100; i++)
            {
                requests.AddRange(C.RequestBytes(C.Write, (ulong)i, 0, 4096));
                requests.AddRange(VolumeTesting.Pattern(0, 1, round * 1000));
            }
            old.Send(requests.ToArray());
            old.Dispose();
            using var client = device.Connect();
            Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 1, round * 1000 + 1)));
            using var check = device.Connect();
            Assert.Equal(round * 1000 + 1, VolumeTesting.Values(check.DoRead(0, 4096))[0]);
        }
    }

    [Fact]
    public async Task B26_Several_connections_see_the_same_bytes()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var first = device.Connect();
        using var second = device.Connect();
        Assert.Equal(256, first.TransmissionFlags & 256);
        first.DoWrite(0, VolumeTesting.Pattern(0, 4, 7));
        Assert.Equal([7, 7, 7, 7], VolumeTesting.Values(second.DoRead(0, 4 * 4096)));
        Assert.Equal(2, device.Heads.List().Single().ConnectionCount);
    }

    [Fact]
    public async Task B28_Payloads_up_to_32_MiB_and_zeroing_of_all_are_accepted()
    {
        await using var device = await NbdDevice.OpenAsync(BlockDevice.Small with { SegmentBytes = 16 << 20, RunInBackground = true });
        using var client = device.Connect();
        var data = VolumeTesting.Pattern(1, 8192, 6);
        Assert.Equal(0u, client.DoWrite(4096, data));
        Assert.Equal(data, client.DoRead(4096, (uint)data.Length));
        Assert.Equal(0u, client.DoWrite(4096 + 512, data[..(5 << 20)]));
        Assert.Equal(data[..(5 << 20)], client.DoRead(4096 + 512, 5 << 20));
        Assert.Equal(0u, client.Do(C.WriteZeroes, 0, (uint)NbdDevice.Size));
    }

    [Fact]
    public async Task B29_Errors_say_what_is_wrong()
    {
        await using var device = await NbdDevice.OpenAsync(readOnly: true);
        using var client = device.Connect();
        Assert.Equal(2, client.TransmissionFlags & 2);
        Assert.Equal(C.Eperm, client.DoWrite(0, new byte[4096]));
        Assert.Equal(C.Eperm, client.Do(C.Trim, 0, 4096));
        Assert.Equal(C.Eperm, client.Do(C.WriteZeroes, 0, 4096));
        Assert.Null(client.TryRead(NbdDevice.Size - 2048, 4096, 0, out var error));
        Assert.Equal(C.Einval, error);
        Assert.Null(client.TryRead(ulong.MaxValue, 4096, 0, out error));
        Assert.Equal(C.Einval, error);
        await using var writable = await NbdDevice.OpenAsync();
        using var writer = writable.Connect();
        Assert.Equal(C.Enospc, writer.DoWrite(NbdDevice.Size - 4096, new byte[8192]));
        Assert.Equal(C.Enospc, writer.Do(C.WriteZeroes, NbdDevice.Size, 4096));
        Assert.Equal(C.Einval, writer.Do(C.Trim, NbdDevice.Size, 4096));
    }

    [Fact]
    public async Task B29_A_full_device_is_no_space_for_the_write_that_needs_it_and_for_no_other()
    {
        var written = 0;
        await using var device = await NbdDevice.OpenAsync(BlockDevice.Small with
        {
            RunInBackground = true, FreeBytes = _ => (12L << 20) - Volatile.Read(ref written) * (256L << 10),
        });
        using var client = device.Connect();
        var data = VolumeTesting.Pattern(1, 64, 1);
        uint error;
        while ((error = client.DoWrite((ulong)(1 + written * 64) * 4096, data)) == 0 && written < 100) Interlocked.Increment(ref written);
        Assert.Equal(C.Enospc, error);
        Assert.Equal(0u, client.Do(C.WriteZeroes, 0, 4096));
        Assert.Equal(0, VolumeTesting.Values(client.DoRead(0, 4096))[0]);
    }

    [Fact]
    public async Task B31_A_head_that_was_closed_and_opened_again_is_found_at_the_same_path()
    {
        await using var device = await NbdDevice.OpenAsync();
        using (var client = device.Connect()) Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 1, 1)));
        await device.Heads.CloseAsync(device.Opened.AttachmentId, CancellationToken.None);
        Assert.False(File.Exists(device.SocketPath));
        await device.Heads.CloseAsync(device.Opened.AttachmentId, CancellationToken.None);
        await File.WriteAllTextAsync(device.SocketPath, "left behind");
        await device.Heads.OpenAsync(device.Opened with { Epoch = 2 }, device.SocketPath, CancellationToken.None);
        using var again = device.Connect();
        Assert.Equal(1, VolumeTesting.Values(again.DoRead(0, 4096))[0]);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, File.GetUnixFileMode(device.SocketPath));
    }

    [Fact]
    public async Task B40_A_live_resize_drops_the_connection_and_the_next_one_sees_the_new_size()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        device.Device.Store.ResizeVolume(device.Volume.Id, NbdDevice.Size * 2);
        await device.Heads.ResizeAsync(device.Opened.AttachmentId, NbdDevice.Size * 2, CancellationToken.None);
        Assert.True(client.IsClosed());
        using var again = device.Connect();
        Assert.Equal((ulong)NbdDevice.Size * 2, again.Size);
        Assert.Equal(0u, again.DoWrite(NbdDevice.Size, new byte[4096]));
    }

    [Fact]
    public async Task Pipelined_requests_of_all_kinds_are_all_answered()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect(allocation: true);
        var random = new Random(5);
        var requests = new List<byte>();
        const int count = 3000;
        for (var i = 0; i < count; i++)
        {
            var offset = (ulong)random.Next(100) * 4096;
            switch (i % 6)
            {
                case 0 or 1: requests.AddRange([.. C.RequestBytes(C.Write, (ulong)i, offset, 4096), .. VolumeTesting.Pattern((long)offset / 4096, 1, i + 1)]); break;
                case 2: requests.AddRange(C.RequestBytes(C.Read, (ulong)i, offset, 4096)); break;
                case 3: requests.AddRange(C.RequestBytes(C.Trim, (ulong)i, offset, 8192, C.Fua)); break;
                case 4: requests.AddRange(C.RequestBytes(C.Flush, (ulong)i, 0, 0)); break;
                default: requests.AddRange(C.RequestBytes(C.BlockStatus, (ulong)i, offset, 65536)); break;
            }
        }
        var sending = Task.Run(() => client.Send(requests.ToArray()));
        var answered = new HashSet<ulong>();
        while (answered.Count < count)
        {
            var chunk = client.ReceiveChunk();
            Assert.Equal(0u, chunk.Error);
            if ((chunk.Flags & 1) != 0) Assert.True(answered.Add(chunk.Cookie));
        }
        await sending;
    }

    [Fact]
    public async Task Limits_of_a_volume_hold_back_its_client()
    {
        await using var device = new NbdDevice();
        await device.Heads.OpenAsync(device.Opened with { Limits = new VolumeLimits(new IoLimits(200, 0)) }, device.SocketPath, CancellationToken.None);
        using var client = device.Connect();
        var started = TimeProvider.System.GetTimestamp();
        for (var i = 0; i < 260; i++) client.DoWrite(0, new byte[4096]);
        // One second's worth is in the bucket at first; the rest comes at the rate.
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 0.28, 20);
    }
}
