using System.Collections.Immutable;
using Nephos.Client.Transport;

namespace Nephos.Node.Objects.Cluster;

/// <summary>Another storage process: the ways to it, and what it said last.</summary>
internal sealed class Peer(string name, StorageAddress address, IStorageTransport transport, TimeProvider time) : IAsyncDisposable
{
    /// <summary>One that failed to answer is asked last for so long.</summary>
    private static readonly TimeSpan DoubtFor = TimeSpan.FromSeconds(2);

    private long _doubtedAt;
    private bool _wasDoubted;

    public string Name { get; } = name;

    public StorageAddress Address { get; } = address;

    /// <summary>Small calls that should not wait behind bulk.</summary>
    public IStorageChannel Calls { get; } = transport.Open(address);

    /// <summary>Payload.</summary>
    public IStorageChannel Bulk { get; } = transport.Open(address);

    /// <summary>Null until it answered, and after it failed to.</summary>
    public PresenceReply? Presence { get; set; }

    /// <summary>What it said last, also when it does not answer now.</summary>
    public PresenceReply? LastPresence { get; set; }

    public bool IsDoubtful => Volatile.Read(ref _wasDoubted) && time.GetElapsedTime(Volatile.Read(ref _doubtedAt)) < DoubtFor;

    public ImmutableArray<PresentDevice> Devices => Presence?.Devices ?? [];

    public void Doubt()
    {
        Volatile.Write(ref _doubtedAt, time.GetTimestamp());
        Volatile.Write(ref _wasDoubted, true);
    }

    public void Trust() => Volatile.Write(ref _wasDoubted, false);

    public async ValueTask DisposeAsync()
    {
        await Calls.DisposeAsync();
        await Bulk.DisposeAsync();
    }
}
