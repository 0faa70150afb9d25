using System.Buffers.Binary;
using System.Text;
using Nephos.Client.Volumes;
using Xunit;
using C = Nephos.StorageEngine.Tests.Block.NbdTestClient;

namespace Nephos.StorageEngine.Tests.Block;

public sealed class NbdHandshakeTests
{
    [Fact]
    public async Task B1_Only_fixed_newstyle_is_spoken_and_an_unknown_client_flag_ends_it()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        Assert.Equal("NBDMAGICIHAVEOPT\0\x3", Encoding.ASCII.GetString(client.Hello));
        client.SendFlags(0x80000003);
        Assert.True(client.IsClosed());
    }

    [Fact]
    public async Task B2_An_unknown_option_is_unsupported_and_its_data_skipped_and_abort_is_acknowledged()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrUnsupported, client.Option(4711, new byte[65536]).Single().Type);
        Assert.Equal(C.ErrUnsupported, client.Option(4711, []).Single().Type);
        Assert.Equal(C.Ack, client.Option(C.Abort, []).Single().Type);
        Assert.True(client.IsClosed());
    }

    [Theory]
    [InlineData(65537)]
    [InlineData(-1)]
    public async Task B2_More_option_data_than_64_KiB_ends_the_connection(int length)
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        client.SendOption(C.Go, [], lengthField: length);
        Assert.True(client.IsClosed());
    }

    [Fact]
    public async Task B2_Names_that_are_too_long_or_not_UTF8_are_invalid()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrInvalid, client.Option(C.Go, C.GoData(new string('x', 4097))).Single().Type);
        Assert.Equal(C.ErrInvalid, client.Option(C.Go, [0, 0, 0, 2, 0xC3, 0x28, 0, 0]).Single().Type);
        Assert.Equal(C.ErrInvalid, client.Option(C.Go, [0, 0, 0, 200, 1, 2, 0, 0]).Single().Type);
        Assert.Equal(C.ErrInvalid, client.Option(C.Go, [0, 0]).Single().Type);
        client.Enter(device.Name);
    }

    [Fact]
    public async Task B2_A_client_that_only_negotiates_is_ended()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        for (var i = 0; i < 64; i++) client.Option(C.List, []);
        Assert.True(client.IsClosed());
    }

    [Fact]
    public async Task B3_Info_and_go_answer_the_same_even_when_the_size_changes_between_them()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        var info = client.Option(C.InfoOption, C.GoData(device.Name, 3));
        device.Device.Store.ResizeVolume(device.Volume.Id, NbdDevice.Size * 2);
        var resizing = device.Heads.ResizeAsync(device.Opened.AttachmentId, NbdDevice.Size * 2, CancellationToken.None);
        // Resizing drops connections, this one too: what it was told before stays true to its end.
        await resizing;
        client.TakeExport(info);
        Assert.Equal((ulong)NbdDevice.Size, client.Size);
        using var later = new C(device.SocketPath);
        later.SendFlags(3);
        var first = later.Option(C.InfoOption, C.GoData(device.Name));
        var second = later.Option(C.Go, C.GoData(device.Name));
        Assert.Equal(first.Select(reply => Convert.ToHexString(reply.Data)), second.Select(reply => Convert.ToHexString(reply.Data)));
        Assert.Contains(first, reply => reply.Type == C.Info && BinaryPrimitives.ReadUInt16BigEndian(reply.Data) == 3);
    }

    [Theory]
    [InlineData(3u, 10)]
    [InlineData(1u, 134)]
    public async Task B3_The_export_name_option_answers_with_and_without_zeroes_and_hangs_up_on_a_wrong_name(uint flags, int bytes)
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(flags);
        client.SendOption(C.ExportName, Encoding.UTF8.GetBytes(device.Name));
        var answer = client.Receive(bytes);
        Assert.Equal((ulong)NbdDevice.Size, BinaryPrimitives.ReadUInt64BigEndian(answer));
        Assert.False(answer.AsSpan(10).ContainsAnyExcept((byte)0));
        Assert.Equal(0u, client.DoWrite(4096, new byte[4096]));
        using var wrong = new C(device.SocketPath);
        wrong.SendFlags(flags);
        wrong.SendOption(C.ExportName, "other"u8);
        Assert.True(wrong.IsClosed());
    }

    [Fact]
    public async Task B4_Names_are_never_listed()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrPolicy, client.Option(C.List, []).Single().Type);
        Assert.Equal(C.ErrInvalid, client.Option(C.List, [1]).Single().Type);
    }

    [Fact]
    public async Task B5_Structured_replies_with_data_are_invalid_and_once_agreed_no_read_is_answered_simply()
    {
        await using var device = await NbdDevice.OpenAsync();
        using (var client = new C(device.SocketPath))
        {
            client.SendFlags(3);
            Assert.Equal(C.ErrInvalid, client.Option(C.Structured, [0]).Single().Type);
            client.Enter(device.Name);
            Assert.Equal(0, client.TransmissionFlags & 128);
        }
        using var structured = device.Connect();
        Assert.Equal(128, structured.TransmissionFlags & 128);
        structured.SendRequest(C.Read, NbdDevice.Size, 4096);
        var chunk = structured.ReceiveChunk();
        Assert.False(chunk.Simple);
        Assert.Equal(C.Einval, chunk.Error);
        structured.SendRequest(C.Read, 0, 0);
        Assert.False(structured.ReceiveChunk().Simple);
    }

    [Fact]
    public async Task B6_Contexts_need_structured_replies_and_are_bound_to_the_name()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrInvalid, client.Option(C.SetContexts, C.ContextQuery(device.Name, "base:allocation")).Single().Type);
        client.Option(C.Structured, []);
        Assert.Equal([C.MetaContext, C.Ack], Types(client.Option(C.ListContexts, C.ContextQuery(device.Name))));
        Assert.Equal([C.MetaContext, C.Ack], Types(client.Option(C.ListContexts, C.ContextQuery(device.Name, "base:"))));
        Assert.Equal([C.Ack], Types(client.Option(C.SetContexts, C.ContextQuery(device.Name, "base:"))));
        Assert.Equal([C.MetaContext, C.Ack], Types(client.Option(C.SetContexts, C.ContextQuery(device.Name, "other:thing", "base:allocation"))));
        Assert.Equal([C.ErrUnknown], Types(client.Option(C.SetContexts, C.ContextQuery("nobody", "base:allocation"))));
        Assert.Equal([C.ErrInvalid], Types(client.Option(C.SetContexts, [0, 0, 0, 0, 0, 0, 0, 9])));
        client.Enter(device.Name);
        // The selection was replaced by the ones that failed.
        client.SendRequest(C.BlockStatus, 0, 4096);
        Assert.Equal(C.Einval, client.ReceiveChunk().Error);
        static IEnumerable<uint> Types(List<(uint Type, byte[] Data)> replies) => replies.Select(reply => reply.Type);
    }

    [Fact]
    public async Task B7_Extended_headers_are_unsupported()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrUnsupported, client.Option(C.Extended, []).Single().Type);
    }

    [Fact]
    public async Task B8_TLS_is_refused_on_a_unix_socket()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrPolicy, client.Option(C.StartTls, []).Single().Type);
    }

    [Fact]
    public async Task B28_Block_sizes_are_advertised()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        var sizes = client.Option(C.Go, C.GoData(device.Name, 3)).Single(reply => reply.Type == C.Info && reply.Data[1] == 3).Data;
        Assert.Equal(
            [512u, 4096u, 32u << 20], [BinaryPrimitives.ReadUInt32BigEndian(sizes.AsSpan(2)), BinaryPrimitives.ReadUInt32BigEndian(sizes.AsSpan(6)), BinaryPrimitives.ReadUInt32BigEndian(sizes.AsSpan(10))]);
    }

    [Fact]
    public async Task B33_A_wrong_token_is_unknown_and_may_ask_again()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = new C(device.SocketPath);
        client.SendFlags(3);
        Assert.Equal(C.ErrUnknown, client.Option(C.Go, C.GoData("")).Single().Type);
        Assert.Equal(C.ErrUnknown, client.Option(C.Go, C.GoData(device.Name + "x")).Single().Type);
        Assert.Equal(C.ErrUnknown, client.Option(C.Go, C.GoData(device.Name[..^1])).Single().Type);
        client.Enter(device.Name);
    }

    [Fact]
    public async Task B33_A_head_that_was_fenced_drops_its_client_and_does_not_know_the_name_any_more()
    {
        await using var device = await NbdDevice.OpenAsync();
        using var client = device.Connect();
        Assert.Equal(0u, client.DoWrite(0, VolumeTesting.Pattern(0, 1, 5)));
        device.Volume.Seal(ReplicaEpochs.OfControl(2));
        client.SendRequest(C.Write, 0, 4096, payload: VolumeTesting.Pattern(0, 1, 6));
        Assert.True(client.IsClosed());
        using var again = new C(device.SocketPath);
        again.SendFlags(3);
        Assert.Equal(C.ErrUnknown, again.Option(C.Go, C.GoData(device.Name)).Single().Type);
        Assert.Equal(5, device.Volume.Values(epoch: ReplicaEpochs.OfControl(2))[0]);
        Assert.True(device.Heads.List().Single().Fenced);
    }

    [Fact]
    public async Task B32_Opening_with_an_old_epoch_fails()
    {
        await using var device = await NbdDevice.OpenAsync();
        device.Volume.Seal(ReplicaEpochs.OfControl(7));
        await Assert.ThrowsAsync<VolumeHeadException>(() => device.Heads.OpenAsync(device.Opened, device.SocketPath, CancellationToken.None));
        await device.Heads.OpenAsync(device.Opened with { Epoch = 8 }, device.SocketPath, CancellationToken.None);
        using var client = device.Connect();
        Assert.Equal(0u, client.DoWrite(0, new byte[512]));
    }

    [Fact]
    public async Task Random_bytes_never_bring_the_server_down()
    {
        await using var device = await NbdDevice.OpenAsync();
        var random = new Random(4711);
        for (var i = 0; i < 200; i++)
        {
            try
            {
                using var client = new C(device.SocketPath);
                client.SendFlags(3);
                if (i % 2 == 0) client.Enter(device.Name);
                var noise = new byte[random.Next(1, 600)];
                random.NextBytes(noise);
                if (i % 3 == 0) BinaryPrimitives.WriteUInt32BigEndian(noise.Length > 32 ? noise : noise = new byte[40], 0x25609513);
                if (i % 4 == 1) "IHAVEOPT"u8.CopyTo(noise.Length > 32 ? noise : noise = new byte[40]);
                client.Send(noise);
            }
            catch (Exception e) when (e is System.Net.Sockets.SocketException or EndOfStreamException)
            {
                // The server has hung up, or has too many connections that are on their way out: its right.
            }
        }
        await device.Heads.OpenAsync(device.Opened with { Epoch = 2 }, device.SocketPath, CancellationToken.None);
        using var proper = device.Connect();
        Assert.Equal(0u, proper.DoWrite(0, VolumeTesting.Pattern(0, 1, 3)));
        Assert.Equal(VolumeTesting.Pattern(0, 1, 3), proper.DoRead(0, 4096));
    }
}
