using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;
using Xunit;
using C = Nephos.StorageEngine.Tests.Block.NbdTestClient;

namespace Nephos.StorageEngine.Tests.Block;

/// <summary>Frozen disks over TLS.</summary>
public sealed class NbdExportTests : IDisposable
{
    private const string Name = "disk";

    private readonly X509Certificate2 _authority = MakeAuthority("CN=right");
    private readonly X509Certificate2 _certificate;
    private readonly NbdExportServer _server;
    private readonly MemoryDisk _disk = new();
    private readonly List<string?> _peers = [];

    public NbdExportTests()
    {
        _certificate = Sign(_authority, "CN=server", "1.3.6.1.5.5.7.3.1");
        _server = new NbdExportServer(new IPEndPoint(IPAddress.Loopback, 0), new NbdTls(_certificate, _authority), Find, TimeProvider.System);
    }

    public void Dispose()
    {
        _server.Dispose();
        _certificate.Dispose();
        _authority.Dispose();
    }

    private MemoryDisk? Find(string name, string? peer)
    {
        lock (_peers) _peers.Add(peer);
        return name == Name ? _disk : null;
    }

    private C Connect()
    {
        var client = new C(_server.EndPoint);
        client.SendFlags(3);
        return client;
    }

    private C ConnectSecured()
    {
        var client = Connect();
        Assert.Equal(C.Ack, client.Option(C.StartTls, []).Single().Type);
        using var own = Sign(_authority, "CN=client", "1.3.6.1.5.5.7.3.2");
        client.Secure(own, (_, _, _, _) => true);
        return client;
    }

    [Fact]
    public void B37_Before_TLS_everything_but_its_beginning_and_the_end_is_refused()
    {
        using var client = Connect();
        foreach (var option in new[] { C.Structured, C.List, C.InfoOption, C.Go, C.ListContexts, C.SetContexts, 4711u })
            Assert.Equal(C.ErrTlsRequired, client.Option(option, C.GoData(Name)).Single().Type);
        Assert.Equal(C.Ack, client.Option(C.Abort, []).Single().Type);
        Assert.True(client.IsClosed());
        using var old = Connect();
        old.SendOption(C.ExportName, "disk"u8);
        Assert.True(old.IsClosed());
        Assert.Empty(_peers);
    }

    [Fact]
    public void B37_Over_TLS_the_disk_is_served_to_the_client_that_its_certificate_names()
    {
        using var client = ConnectSecured();
        Assert.Equal(C.Ack, client.Option(C.Structured, []).Single().Type);
        client.Enter(Name);
        Assert.Equal((ulong)_disk.SizeBytes, client.Size);
        Assert.Equal(2, client.TransmissionFlags & 2); // Read-only.
        Assert.Equal(_disk.Content[5000..105_000], client.DoRead(5000, 100_000));
        Assert.Equal(_disk.Content, client.DoRead(0, (uint)_disk.SizeBytes));
        Assert.Equal(C.Eperm, client.DoWrite(0, new byte[4096]));
        Assert.Equal(C.Eperm, client.Do(C.Trim, 0, 4096));
        Assert.Equal(0u, client.Do(C.Flush, 0, 0));
        Assert.All(_peers, peer => Assert.Equal("client", peer));
    }

    [Fact]
    public void B8_What_was_agreed_in_clear_is_forgotten_and_TLS_begins_once()
    {
        using var client = ConnectSecured();
        Assert.Equal(C.ErrInvalid, client.Option(C.StartTls, []).Single().Type);
        // No structured replies were agreed since: contexts need them.
        Assert.Equal(C.ErrInvalid, client.Option(C.SetContexts, C.ContextQuery(Name, "base:allocation")).Single().Type);
        client.Enter(Name);
        Assert.Equal(0, client.TransmissionFlags & 128); // No DF without structured replies.
    }

    [Fact]
    public void B8_Bytes_that_were_sent_in_clear_behind_the_option_end_the_connection()
    {
        using var client = Connect();
        client.Send([.. "IHAVEOPT"u8, 0, 0, 0, 5, 0, 0, 0, 0, .. "IHAVEOPT"u8, 0, 0, 0, 8, 0, 0, 0, 0]);
        // Whether they were there before the answer or came after it: they are never taken for something the client said over TLS.
        try
        {
            Assert.Equal(C.Ack, client.ReceiveOptionReply().Type);
            Assert.ThrowsAny<Exception>(() => client.Secure(null, (_, _, _, _) => true));
        }
        catch (Exception e) when (e is EndOfStreamException or SocketException)
        {
            // The server hung up before it answered.
        }
        Assert.Empty(_peers);
    }

    [Fact]
    public void B37_Who_has_no_certificate_or_one_of_another_authority_or_for_another_purpose_is_not_let_in()
    {
        using var other = MakeAuthority("CN=right");
        foreach (var certificate in new[] { null, Sign(other, "CN=client", "1.3.6.1.5.5.7.3.2"), Sign(_authority, "CN=client", "1.3.6.1.5.5.7.3.1") })
        {
            using var client = Connect();
            client.Option(C.StartTls, []);
            // With TLS 1.3 the client learns of it when it goes on.
            Assert.ThrowsAny<Exception>(() =>
            {
                client.Secure(certificate, (_, _, _, _) => true);
                client.Enter(Name);
            });
            certificate?.Dispose();
        }
        Assert.Empty(_peers);
    }

    [Fact]
    public void B6_Dirty_bitmaps_are_listed_selected_beside_the_allocation_and_answered_in_the_same_breath()
    {
        using var client = ConnectSecured();
        client.Option(C.Structured, []);
        Assert.Equal(["base:allocation", "qemu:dirty-bitmap:yesterday"], Contexts(client.Option(C.ListContexts, C.ContextQuery(Name))));
        Assert.Equal(["qemu:dirty-bitmap:yesterday"], Contexts(client.Option(C.ListContexts, C.ContextQuery(Name, "qemu:"))));
        Assert.Equal(["qemu:dirty-bitmap:yesterday"], Contexts(client.Option(C.ListContexts, C.ContextQuery(Name, "qemu:dirty-bitmap:"))));
        Assert.Empty(Contexts(client.Option(C.SetContexts, C.ContextQuery(Name, "qemu:dirty-bitmap:", "qemu:dirty-bitmap:today", "base:"))));
        Assert.Equal(["base:allocation", "qemu:dirty-bitmap:yesterday"], Contexts(client.Option(C.SetContexts, C.ContextQuery(Name, "qemu:dirty-bitmap:yesterday", "base:allocation"))));
        client.Enter(Name);
        var status = client.DoStatusOfAll(0, (uint)_disk.SizeBytes);
        Assert.Equal([(4096u * 4, 0u), (4096u * 60, 3u)], status[1]);
        Assert.Equal([(4096u, 0u), (4096u * 2, 1u), (4096u * 61, 0u)], status[2]);
        Assert.Equal([(512u, 1u)], client.DoStatusOfAll(4096 + 512, 512)[2]);
    }

    private static List<string> Contexts(List<(uint Type, byte[] Data)> replies)
    {
        Assert.Equal(C.Ack, replies[^1].Type);
        return [.. replies.SkipLast(1).Select(reply => System.Text.Encoding.ASCII.GetString(reply.Data.AsSpan(4)))];
    }

    [Fact]
    public void A_disk_that_is_taken_away_ends_its_connections()
    {
        using var client = ConnectSecured();
        client.Enter(Name);
        // The name is answered a moment before the connection counts as one of the disk; what it reads comes after.
        client.DoRead(0, 4096);
        Assert.True(_server.Serves(_disk));
        _server.Drop(_disk);
        Assert.False(_server.Serves(_disk));
        Assert.True(client.IsClosed());
    }

    private static X509Certificate2 MakeAuthority(string subject)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, pathLengthConstraint: 0, critical: true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddHours(-1), now.AddDays(1));
    }

    private static X509Certificate2 Sign(X509Certificate2 authority, string subject, string purpose)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], critical: false));
        using var made = request.Create(authority, authority.NotBefore, authority.NotAfter, RandomNumberGenerator.GetBytes(16));
        return made.CopyWithPrivateKey(key);
    }

    /// <summary>64 blocks of which the first four are data, compared with a day ago.</summary>
    private sealed class MemoryDisk : IFrozenDisk
    {
        private const int Block = 4096;

        public MemoryDisk() => new Random(5).NextBytes(Content.AsSpan(0, 4 * Block));

        public byte[] Content { get; } = new byte[64 * Block];
        public long SizeBytes => Content.Length;
        public IReadOnlyList<string> Bases => ["yesterday"];

        public ReplicaStatus Read(long offset, Span<byte> buffer)
        {
            Content.AsSpan((int)offset, buffer.Length).CopyTo(buffer);
            return ReplicaStatus.Ok;
        }

        public ReplicaStatus GetRanges(long offset, long length, Span<BlockRange> ranges, out int count) =>
            Describe(block => block < 4 ? BlockRangeKind.Data : BlockRangeKind.Hole, offset, length, ranges, out count);

        public ReplicaStatus GetChanges(int baseIndex, long offset, long length, Span<BlockRange> ranges, out int count) =>
            Describe(block => block is 1 or 2 ? BlockRangeKind.Data : BlockRangeKind.Hole, offset, length, ranges, out count);

        private static ReplicaStatus Describe(Func<long, BlockRangeKind> kindOf, long offset, long length, Span<BlockRange> ranges, out int count)
        {
            count = 0;
            for (var at = offset; at < offset + length; at += Block)
            {
                if (count > 0 && ranges[count - 1].Kind == kindOf(at / Block)) ranges[count - 1] = ranges[count - 1] with { Length = at + Block - ranges[count - 1].Offset };
                else if (count == ranges.Length) break;
                else ranges[count++] = new BlockRange(at, Block, kindOf(at / Block));
            }
            return ReplicaStatus.Ok;
        }
    }
}
