using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Nephos.Client.Transport;
using Nephos.Node.Objects.Cluster;
using Nephos.Node.Objects.Devices;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

// The replicas: those in this process, the ways to the others, and their successors.
internal sealed partial class IndexShard
{
    /// <summary>A full copy takes as long as the rows are many; whoever stops answering ends it sooner.</summary>
    private static readonly TimeSpan InstallTimeout = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(1);
    private readonly Lock _opening = new();

    /// <summary>The replica with this id on a device of this process; null when there is none.</summary>
    public IndexReplica? FindHere(ReplicaId id)
    {
        if (_replicas.TryGetValue(id, out var known) && known.IsUsable)
        {
            return known;
        }

        // Two objects on one replica would not know of each other's promises.
        lock (_opening)
        {
            if (_replicas.TryGetValue(id, out known) && known.IsUsable)
            {
                return known;
            }

            _replicas.TryRemove(id, out _);
            foreach (var slot in _devices.All)
            {
                if (slot.Holds(ShardConfiguration.GroupOf(Number), id.Value)
                    && IndexReplica.Open(slot, ShardConfiguration.GroupOf(Number), (uint)Number, _host.Time) is { } replica && replica.Id == id)
                {
                    return _replicas[id] = replica;
                }
            }

            return null;
        }
    }

    /// <summary>Begins an empty replica on a device of this process; false when the device is away, or holds one that may not be replaced.</summary>
    public async ValueTask<bool> CreateHereAsync(ShardMember member, bool mayReplace)
    {
        if (_devices.Find(member.Device) is not { } slot)
        {
            return false;
        }

        var group = ShardConfiguration.GroupOf(Number);
        if (!mayReplace && IndexReplica.Open(slot, group, (uint)Number, _host.Time) is { Promised: > 0 })
        {
            return false;
        }

        foreach (var (id, before) in _replicas.Where(r => r.Value.Slot == slot))
        {
            before.Retire();
            _replicas.TryRemove(id, out _);
        }

        if (await IndexReplica.CreateAsync(slot, group, (uint)Number, member.Replica, _host.Time) is not { } replica)
        {
            return false;
        }

        _replicas[replica.Id] = replica;
        return true;
    }

    /// <summary>Gives a replica of this process a full copy of a member's.</summary>
    public async Task<LogPosition> InstallHereAsync(ReplicaId target, ShardMember source, ulong epoch, CancellationToken cancellationToken)
    {
        var replica = FindHere(target) ?? throw new ReplicaUnavailableException($"Replica {target} is not here.");
        await using var rows = await OpenCopyAsync(source);
        return await replica.InstallAsync(rows, epoch, cancellationToken);
    }

    /// <summary>What this process can say of a member on one of its devices.</summary>
    public (MemberState State, TimeSpan Silence) ProbeHere(ShardMember member) =>
        FindHere(new ReplicaId(member.Replica)) is { } replica ? (MemberState.Here, replica.Silence)
        : _devices.Find(member.Device) is { IsOnline: true } ? (MemberState.Lost, default)
        : (MemberState.Away, default);

    private async Task<(MemberState State, TimeSpan Silence)> ProbeAsync(ShardMember member)
    {
        if (_devices.Find(member.Device) is not null)
        {
            return ProbeHere(member);
        }

        try
        {
            if (_cluster.PeerOf(member.Device) is { } peer)
            {
                var head = new CallWriter().Int32(Number).Int32(member.Device).Guid(member.Replica).Written;
                var reply = new CallReader((await peer.Calls.CallAsync(new StorageCall(GroupMethods.Probe, head) { Timeout = ProbeTimeout })).Head);
                return ((MemberState)reply.Byte(), TimeSpan.FromMilliseconds(reply.UInt64()));
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // Whoever does not answer is away.
        }

        return (MemberState.Away, default);
    }

    private IReplicaPeer? FindPeer(ReplicaId id)
    {
        if (DeviceOf(id) is not { } device || _devices.Find(device) is not null)
        {
            return FindHere(id);
        }

        return _cluster.PeerOf(device) is { } peer ? new RemoteReplica(peer.Calls, Number, id) : null;
    }

    private int? DeviceOf(ReplicaId id) =>
        _replacement is { } replacement && replacement.Successor.Replica == id.Value
            ? replacement.Successor.Device
            : _configuration?.Members.FirstOrDefault(m => m.Replica == id.Value)?.Device;

    /// <summary>Opens the members' replicas on the devices of this process.</summary>
    private void OpenMembers(ShardConfiguration configuration)
    {
        foreach (var member in configuration.Members.Where(m => _devices.Find(m.Device) is not null))
        {
            FindHere(new ReplicaId(member.Replica));
        }
    }

    private async ValueTask<bool> CreateAsync(ShardMember member, bool mayReplace)
    {
        if (_devices.Find(member.Device) is not null)
        {
            return await CreateHereAsync(member, mayReplace);
        }

        if (_cluster.PeerOf(member.Device) is not { } peer)
        {
            return false;
        }

        var head = new CallWriter().Int32(Number).Int32(member.Device).Guid(member.Replica).Byte(mayReplace ? (byte)1 : (byte)0).Written;
        return (await peer.Calls.CallAsync(new StorageCall(GroupMethods.Create, head))).Head.Span is [1];
    }

    private async Task<LogPosition> InstallAsync(ReplicaId target, ReplicaId source, CancellationToken cancellationToken)
    {
        var configuration = _configuration!;
        var from = configuration.Members.First(m => m.Replica == source.Value);
        if (DeviceOf(target) is not { } device || _devices.Find(device) is not null)
        {
            return await InstallHereAsync(target, from, configuration.Epoch, cancellationToken);
        }

        var peer = _cluster.PeerOf(device) ?? throw new ReplicaUnavailableException($"Device {device} is in no process that is known here.");
        var head = new CallWriter().Int32(Number).Guid(target.Value).UInt64(configuration.Epoch).Int32(from.Device).Guid(from.Replica).Written;
        var reply = new CallReader((await peer.Calls.CallAsync(new StorageCall(GroupMethods.Install, head) { Timeout = InstallTimeout })).Head);
        return GroupCodec.Position(ref reply);
    }

    private async ValueTask<IRowSource> OpenCopyAsync(ShardMember source)
    {
        if (_devices.Find(source.Device) is not null)
        {
            return (FindHere(new ReplicaId(source.Replica)) ?? throw new ReplicaUnavailableException($"Device {source.Device} is away.")).OpenCopy();
        }

        var peer = _cluster.PeerOf(source.Device) ?? throw new ReplicaUnavailableException($"Device {source.Device} is in no process that is known here.");
        return await RemoteRows.OpenAsync(peer.Bulk, Number, source.Replica);
    }

    /// <summary>
    /// A member whose replica is gone for good (its device is new, damaged or away for long), or whose device the ring gives to others,
    /// gets a successor: a learner is brought up to date beside the others, and takes the member's place when it has everything.
    /// </summary>
    private async Task ReplaceMembersAsync(GroupWriter writer, CancellationToken cancellationToken)
    {
        var configuration = _configuration!;
        OpenMembers(configuration);
        var leaving = await FindLeavingAsync(writer, configuration);
        if (_replacement is { } begun
            && (begun.Leaving != leaving || (await ProbeAsync(begun.Successor)).State == MemberState.Lost))
        {
            // Where it is it was good only in that member's place: no device may hold two.
            writer.RemoveLearner(new ReplicaId(begun.Successor.Replica));
            _replacement = null;
        }

        if (leaving is null)
        {
            return;
        }

        if (_replacement is null && !await BeginReplacementAsync(writer, configuration, leaving))
        {
            return;
        }

        var successor = _replacement!.Successor;
        var learner = new ReplicaId(successor.Replica);
        var members = configuration.Members.Replace(leaving, successor);
        ReplicaId[] ids = [.. members.Select(m => new ReplicaId(m.Replica))];
        if (!writer.IsComplete(learner))
        {
            return;
        }

        // With the gate held nothing is proposed; what is under way was decided before the gate was free. It may need a member for
        // that whose device is only now coming back.
        using (var entered = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
        {
            var opening = OpenMembersAsTheyComeAsync(configuration, entered.Token);
            await _gate.WaitAsync();
            entered.Cancel();
            await opening;
        }

        try
        {
            if (!writer.CanContinueWith(ids, learner))
            {
                return;
            }

            LogReplaced(Number, leaving.Device, successor.Device);
            await BecomeWriterAsync(configuration, _version, members, cancellationToken);
            _replacement = null;
        }
        finally
        {
            _gate.Release();
        }

        if (leaving.Device != successor.Device && _configuration!.Members.SequenceEqual(members) && _devices.IsOnline(leaving.Device))
        {
            // An empty one, which nobody knows, in its place: the old one would keep its log for ever.
            await CreateAsync(new ShardMember(leaving.Device, _host.Entropy.NewGuid()), mayReplace: true);
        }
    }

    private async Task<bool> BeginReplacementAsync(GroupWriter writer, ShardConfiguration configuration, ShardMember leaving)
    {
        var isLost = !writer.IsComplete(new ReplicaId(leaving.Replica));
        if (_devices.PlaceSuccessor(Number, leaving.Device, isLost, [.. configuration.Members.Select(m => m.Device)]) is not { } device)
        {
            return false;
        }

        var successor = new ShardMember(device, _host.Entropy.NewGuid());
        if (!await CreateAsync(successor, mayReplace: true))
        {
            return false;
        }

        _replacement = new Replacement(leaving, successor);
        writer.AddLearner(new ReplicaId(successor.Replica));
        return true;
    }

    /// <summary>The member to be replaced next: one that is lost, else, with all others up to date, one that belongs elsewhere.</summary>
    private async Task<ShardMember?> FindLeavingAsync(GroupWriter writer, ShardConfiguration configuration)
    {
        var lost = new List<ShardMember>();
        var areAllHere = true;
        foreach (var member in configuration.Members)
        {
            var id = new ReplicaId(member.Replica);
            if (writer.IsComplete(id) && FindPeer(id) is not null)
            {
                continue;
            }

            areAllHere = false;
            var state = (await ProbeAsync(member)).State;
            if (state == MemberState.Lost || (state == MemberState.Away && _devices.IsAwayForLong(member.Device)))
            {
                lost.Add(member);
            }
        }

        if (lost.Count > 0)
        {
            return _replacement is { } begun && lost.Contains(begun.Leaving) ? begun.Leaving : lost[0];
        }

        var wanted = _devices.PlaceShard(Number);
        var misplaced = configuration.Members.Where(m => !wanted.Contains(m.Device)).ToList();
        return _replacement is { } moving && misplaced.Contains(moving.Leaving) ? moving.Leaving
            : areAllHere ? misplaced.FirstOrDefault()
            : null;
    }

    [LoggerMessage(LogLevel.Warning, "Shard {Shard}: the replica on device {Lost} is replaced by one on device {Successor}")]
    private partial void LogReplaced(int shard, int lost, int successor);

    /// <summary>A member and the learner that is to take its place.</summary>
    private sealed record Replacement(ShardMember Leaving, ShardMember Successor);
}

/// <summary>A copy of the rows of a replica in another process.</summary>
internal sealed class RemoteRows : IRowSource
{
    private readonly IStorageChannel _channel;
    private readonly ulong _copy;

    private RemoteRows(IStorageChannel channel, ulong copy, LogPosition position) => (_channel, _copy, Position) = (channel, copy, position);

    public LogPosition Position { get; }

    public static async ValueTask<RemoteRows> OpenAsync(IStorageChannel channel, int shard, Guid replica)
    {
        var head = new CallWriter().Int32(shard).Guid(replica).Written;
        var reply = new CallReader((await channel.CallAsync(new StorageCall(GroupMethods.OpenCopy, head))).Head);
        var copy = reply.UInt64();
        return new RemoteRows(channel, copy, GroupCodec.Position(ref reply));
    }

    public async ValueTask<ReadOnlyMemory<byte>> NextAsync() =>
        (await _channel.CallAsync(new StorageCall(GroupMethods.NextPage, new CallWriter().UInt64(_copy).Written))).Head;

    // The other side closes it at its end, or when it was not asked for a while.
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
