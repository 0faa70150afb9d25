using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using Nephos.Client.Objects;
using Nephos.Client.Transport;

namespace Nephos.Node.Objects.Cluster;

/// <summary>
/// The storage processes as this one knows them: where each device is, who answers, and what others are in the middle of. A process
/// that is alone has no transport and all devices itself.
/// </summary>
internal sealed class StorageCluster(string name, IStorageTransport? transport, TimeProvider time, Entropy entropy, BlobPins pins) : IAsyncDisposable
{
    /// <summary>Whoever is silent for longer is taken for gone: nothing waits for it any more.</summary>
    private static readonly TimeSpan CallerKept = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan PresenceTimeout = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<string, Peer> _peers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, (PresenceRequest Said, long At)> _callers = new(StringComparer.Ordinal);
    private volatile ClusterRecord _record = ClusterRecord.Empty;
    private ImmutableDictionary<int, string> _nodes = ImmutableDictionary<int, string>.Empty;

    /// <summary>The name of this process among the others.</summary>
    public string Name => name;

    /// <summary>This life of the process.</summary>
    public Guid Life { get; } = entropy.NewGuid();

    public bool IsAlone => transport is null;

    public ClusterRecord Record => _record;

    public IEnumerable<Peer> Peers => _peers.Values.OrderBy(p => p.Name, StringComparer.Ordinal);

    /// <summary>The other process that has the device; null when it is ours or unknown.</summary>
    public Peer? PeerOf(int device) => _nodes.TryGetValue(device, out var node) ? _peers.GetValueOrDefault(node) : null;

    public Peer? Find(string node) => _peers.GetValueOrDefault(node);

    public string? NodeOf(int device) => _nodes.GetValueOrDefault(device);

    /// <summary>Takes over what the configuration says.</summary>
    public async ValueTask FollowAsync(ClusterRecord record)
    {
        _record = record;
        Volatile.Write(ref _nodes, record.Nodes.SelectMany(n => n.Devices, (n, d) => (d.Id, n.Name)).ToImmutableDictionary(p => p.Id, p => p.Name));
        foreach (var node in record.Nodes)
        {
            if (node.Name == name || (_peers.TryGetValue(node.Name, out var known) && known.Address.Text == node.Address))
            {
                continue;
            }

            _peers[node.Name] = new Peer(node.Name, StorageAddress.Parse(node.Address), transport!, time);
            if (known is not null)
            {
                await known.DisposeAsync();
            }
        }
    }

    /// <summary>Tells every storage process how this one is doing, and hears how they are; true when one of them or of their devices began anew.</summary>
    public async Task<bool> GreetAsync(ulong ringVersion)
    {
        var oldestRead = pins.OldestRead();
        var request = new PresenceRequest(
            name,
            Life,
            ringVersion,
            oldestRead == DateTimeOffset.MaxValue ? 0 : Math.Max(1, (long)(time.GetUtcNow() - oldestRead).TotalMilliseconds),
            pins.OldestUnreferenced()?.ToUnixTimeMilliseconds() ?? long.MaxValue);
        var head = JsonSerializer.SerializeToUtf8Bytes(request, ClusterJson.Default.PresenceRequest);
        return (await Task.WhenAll(Peers.Select(p => GreetAsync(p, head)))).Any(began => began);
    }

    /// <summary>Notes what another process said of itself.</summary>
    public void Hear(PresenceRequest said) => _callers[said.Name] = (said, time.GetTimestamp());

    /// <summary>Blobs released before this are needed by no read under way, here or elsewhere.</summary>
    public DateTimeOffset OldestRead()
    {
        var oldest = pins.OldestRead();
        foreach (var said in Callers().Where(s => s.OldestReadMs > 0))
        {
            var begun = time.GetUtcNow() - TimeSpan.FromMilliseconds(said.OldestReadMs) - CallerKept;
            oldest = begun < oldest ? begun : oldest;
        }

        return oldest;
    }

    /// <summary>Whether some process may yet make a record that refers to the blob.</summary>
    public bool MayBeReferred(BlobId blob) =>
        pins.IsPinned(blob) || Callers().Any(said => blob.Created.ToUnixTimeMilliseconds() >= said.OldestUnreferencedMs);

    /// <summary>This process is in the middle of writing it.</summary>
    public bool IsPinnedHere(BlobId blob) => pins.IsPinned(blob);

    /// <summary>Every process that was heard of lately places data by this version of the ring, or a later one.</summary>
    public bool AllFollow(ulong ringVersion) =>
        Peers.All(p => p.Presence is not { } presence || presence.RingVersion >= ringVersion) && Callers().All(said => said.RingVersion >= ringVersion);

    public async ValueTask DisposeAsync()
    {
        foreach (var peer in _peers.Values)
        {
            await peer.DisposeAsync();
        }
    }

    private IEnumerable<PresenceRequest> Callers()
    {
        foreach (var (caller, (said, at)) in _callers)
        {
            if (time.GetElapsedTime(at) > CallerKept)
            {
                _callers.TryRemove(caller, out _);
            }
            else
            {
                yield return said;
            }
        }
    }

    private static async Task<bool> GreetAsync(Peer peer, byte[] head)
    {
        try
        {
            var reply = await peer.Calls.CallAsync(new StorageCall(ClusterMethods.Presence, head) { Timeout = PresenceTimeout });
            var presence = JsonSerializer.Deserialize(reply.Head.Span, ClusterJson.Default.PresenceReply);
            var before = peer.LastPresence;
            peer.Presence = peer.LastPresence = presence;
            peer.Trust();

            // One that only did not answer for a while has what it had; what it missed is on the ledger of whoever wrote it.
            return before is null || before.Life != presence?.Life
                || presence.Devices.Any(d => before.Devices.All(b => b.Life != d.Life));
        }
        catch (Exception failure) when (failure is IOException or JsonException or ObjectDisposedException)
        {
            peer.Presence = null;
            peer.Doubt();
            return false;
        }
    }
}

internal static class ClusterMethods
{
    /// <summary>A <see cref="PresenceRequest"/>; answers a <see cref="PresenceReply"/>.</summary>
    public const ushort Presence = StorageMethods.Groups + 0x80;
}
