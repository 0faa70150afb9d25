using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Nephos.LocalStorage.Objects;
using Nephos.Node.Objects.Devices;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

// Who writes and who is a member. One bounded step at a time; every step may be repeated.
internal sealed partial class IndexShard
{
    private string _reason = "not started";

    private async Task UpkeepLoopAsync()
    {
        using var timer = new PeriodicTimer(UpkeepPeriod, _host.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token))
            {
                await UpkeepStepAsync(_stop.Token);
                timer.Period = _writer is { State: WriterState.Serving } ? UpkeepPeriod : TakeOverPeriod;
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task UpkeepStepAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_writer is not { State: WriterState.Serving })
            {
                await TakeOverAsync(cancellationToken);
            }
            else
            {
                await ReplaceLostAsync(_writer, cancellationToken);
            }

            if (_home is not { Slot.IsOnline: true })
            {
                ChooseHome();
            }

            foreach (var replica in _replicas.Values)
            {
                if (replica.Slot.IsOnline)
                {
                    await replica.TrimAsync();
                }
            }
        }
        catch (Exception failure) when (failure is ReplicaUnavailableException or IOException or RocksDbSharp.RocksDbException or TimeoutException)
        {
            _reason = failure.Message;
        }
    }

    private async Task TakeOverAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync();
        try
        {
            _home = null;
            var (configuration, version) = await ReadAsync(cancellationToken);
            await BecomeWriterAsync(configuration, version, configuration.Members, cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Commits the next epoch with these members, seals and serves. The caller holds the gate.</summary>
    private async Task BecomeWriterAsync(
        ShardConfiguration configuration, ulong version, ImmutableArray<ShardMember> members, CancellationToken cancellationToken)
    {
        var next = configuration with { Epoch = configuration.Epoch + 1, Writer = _writerName, Members = members };
        if (await _master.CompareAndSwapAsync(NameOf(Number), version, next.ToBytes(), cancellationToken) is not { } written)
        {
            _reason = "another writer took over";
            return;
        }

        (_configuration, _version) = (next, written);
        if (_writer is not null)
        {
            await _writer.DisposeAsync();
        }

        _writer = null;
        _home = null;
        OpenMembers(next);
        var writer = new GroupWriter(next.ToGroup(), id => _replicas.GetValueOrDefault(id), _host);
        try
        {
            using var timeout = new CancellationTokenSource(TakeOverTimeout, _host.Time);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
            using var started = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
            var opening = OpenMembersAsTheyComeAsync(next, started.Token);
            bool serves;
            try
            {
                serves = await writer.StartAsync(limit.Token);
            }
            finally
            {
                started.Cancel();
                await opening;
            }

            if (!serves)
            {
                _reason = "deposed while taking over";
                await writer.DisposeAsync();
                return;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            _reason = "too few of its replicas can be reached";
            LogNoMajority(Number, next.Epoch);
            await writer.DisposeAsync();
            return;
        }

        _writer = writer;
        _reason = "";
        ChooseHome();
        LogServing(Number, next.Epoch, string.Join(' ', next.Members.Select(m => m.Device)));
    }

    /// <summary>Devices may come while the writer waits for a majority.</summary>
    private async Task OpenMembersAsTheyComeAsync(ShardConfiguration configuration, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TakeOverPeriod, _host.Time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                OpenMembers(configuration);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Finds the members' replicas on the devices that are there.</summary>
    private void OpenMembers(ShardConfiguration configuration)
    {
        foreach (var member in configuration.Members)
        {
            var id = new ReplicaId(member.Replica);
            if (_replicas.TryGetValue(id, out var known) && known.IsUsable)
            {
                continue;
            }

            _replicas.TryRemove(id, out _);
            if (_devices.Find(member.Device) is { } slot
                && IndexReplica.Open(slot, configuration.Group, (uint)Number) is { } replica && replica.Id == id)
            {
                _replicas[id] = replica;
            }
        }
    }

    /// <summary>The configuration of the shard; the first time, replicas are made on the devices that the ring names.</summary>
    private async Task<(ShardConfiguration Configuration, ulong Version)> ReadAsync(CancellationToken cancellationToken)
    {
        if (await _master.ReadAsync(NameOf(Number), cancellationToken) is { } stored)
        {
            return (ShardConfiguration.Parse(stored.Value.Span), stored.Version);
        }

        var members = ImmutableArray.CreateBuilder<ShardMember>();
        foreach (var device in _devices.PlaceShard(Number))
        {
            var id = _host.Entropy.NewGuid();
            var replica = await IndexReplica.CreateAsync(_devices.Find(device)!, ShardConfiguration.GroupOf(Number), (uint)Number, id)
                ?? throw new ReplicaUnavailableException($"Device {device} is needed to begin shard {Number}.");
            _replicas[replica.Id] = replica;
            members.Add(new ShardMember(device, id));
        }

        return (new ShardConfiguration(Number, 0, "", members.ToImmutable()), 0);
    }

    /// <summary>
    /// A member whose replica is gone for good (its device is new or damaged) gets a successor: a learner is brought up to date beside
    /// the others, and takes the member's place when it has everything.
    /// </summary>
    private async Task ReplaceLostAsync(GroupWriter writer, CancellationToken cancellationToken)
    {
        var configuration = _configuration!;
        OpenMembers(configuration);
        var missing = configuration.Members.Where(m => !_replicas.ContainsKey(new ReplicaId(m.Replica))).ToList();
        if (_learner is not null && (!_learner.IsUsable || !missing.Contains(_succeeded!)))
        {
            // Where it is it was good only in that member's place: no device may hold two.
            writer.RemoveLearner(_learner.Id);
            _replicas.TryRemove(_learner.Id, out _);
            _learner = null;
        }

        if (missing.Count == 0)
        {
            return;
        }

        var lost = _learner is null ? missing[0] : _succeeded!;
        if (_learner is null)
        {
            if (_devices.PlaceLostReplica(Number, lost.Device, [.. configuration.Members.Select(m => m.Device)]) is not { } slot)
            {
                return;
            }

            _learner = await IndexReplica.CreateAsync(slot, configuration.Group, (uint)Number, _host.Entropy.NewGuid());
            if (_learner is null)
            {
                return;
            }

            _succeeded = lost;
            _replicas[_learner.Id] = _learner;
            writer.AddLearner(_learner.Id);
        }

        var members = configuration.Members.Replace(lost, new ShardMember(_learner.Slot.Number, _learner.Id.Value));
        ReplicaId[] ids = [.. members.Select(m => new ReplicaId(m.Replica))];
        if (!writer.IsComplete(_learner.Id))
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
            if (writer.CanContinueWith(ids, _learner.Id))
            {
                LogReplaced(Number, lost.Device, _learner.Slot.Number);
                await BecomeWriterAsync(configuration, _version, members, cancellationToken);
                _learner = null;
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    private static string NameOf(int shard) => $"objects/shards/{shard}";

    [LoggerMessage(LogLevel.Information, "Shard {Shard} serves at epoch {Epoch} with replicas on devices {Devices}")]
    private partial void LogServing(int shard, ulong epoch, string devices);

    [LoggerMessage(LogLevel.Warning, "Shard {Shard}: no majority of its replicas answers at epoch {Epoch}")]
    private partial void LogNoMajority(int shard, ulong epoch);

    [LoggerMessage(LogLevel.Warning, "Shard {Shard}: the replica on device {Lost} is replaced by one on device {Successor}")]
    private partial void LogReplaced(int shard, int lost, int successor);
}
