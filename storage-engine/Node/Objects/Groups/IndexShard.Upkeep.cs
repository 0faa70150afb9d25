using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Nephos.Kernel.State;
using Nephos.Replication.Groups;

namespace Nephos.Node.Objects.Groups;

// Who writes. One bounded step at a time; every step may be repeated.
internal sealed partial class IndexShard
{
    /// <summary>A writer that is silent for so long is taken for gone.</summary>
    private static readonly TimeSpan FailoverAfter = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan FailoverStep = TimeSpan.FromMilliseconds(400);
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
            await RetireDeposedAsync();
            if (_writer is { State: WriterState.Serving } writer)
            {
                await ReplaceMembersAsync(writer, cancellationToken);
            }
            else if (await MayTakeOverAsync(cancellationToken))
            {
                await TakeOverAsync(cancellationToken);
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
        catch (Exception failure) when (failure is ReplicaUnavailableException or IOException or RocksDbSharp.RocksDbException
            or TimeoutException or StateUnavailableException)
        {
            _reason = failure.Message;
        }
    }

    /// <summary>A writer that was deposed, or has none of the replicas in its own process, makes room for another process.</summary>
    private async Task RetireDeposedAsync()
    {
        if (_cluster.IsAlone || _writer is not { } writer
            || (writer.State != WriterState.Deposed && writer.Configuration.Members.Any(m => FindHere(m) is { IsUsable: true })))
        {
            return;
        }

        await _gate.WaitAsync();
        try
        {
            _home = null;
            _writer = null;
            _replacement = null;
            await writer.DisposeAsync();
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>
    /// Whether this process should write the shard: it has a replica, no writer was heard of for a while, and a majority of the members
    /// says the same. So a process that only lost its own link disturbs nobody.
    /// </summary>
    private async Task<bool> MayTakeOverAsync(CancellationToken cancellationToken)
    {
        if (_cluster.IsAlone)
        {
            return true;
        }

        if (_replicas.Values.Any(r => r.IsUsable && r.Silence < FailoverAfter))
        {
            return false;
        }

        if (await _master.ReadAsync(NameOf(Number), cancellationToken) is not { } stored)
        {
            // The one that has the first place makes the shard.
            return _devices.Find(_devices.PlaceShard(Number)[0]) is not null;
        }

        var configuration = ShardConfiguration.Parse(stored.Value.Span);
        OpenMembers(configuration);
        var mine = configuration.Members.Where(m => FindHere(new ReplicaId(m.Replica)) is { IsUsable: true }).ToList();
        if (mine.Count == 0)
        {
            _reason = $"written by {configuration.Writer}";
            return false;
        }

        // A former life of this process need not be waited for; the others wait a little longer one after the other.
        var patience = FailoverAfter + (configuration.Members.IndexOf(mine[0]) * FailoverStep);
        if (configuration.Writer != _cluster.Name && mine.Exists(m => FindHere(new ReplicaId(m.Replica))!.Silence < patience))
        {
            _reason = $"written by {configuration.Writer}";
            return false;
        }

        var probes = await Task.WhenAll(configuration.Members.Where(m => !mine.Contains(m)).Select(ProbeAsync));
        return mine.Count + probes.Count(p => p.State == MemberState.Here && (p.Silence >= FailoverAfter / 2 || configuration.Writer == _cluster.Name))
            >= (configuration.Members.Length / 2) + 1;
    }

    private async Task TakeOverAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync();
        try
        {
            _home = null;
            _replacement = null;
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
        var next = configuration with { Epoch = configuration.Epoch + 1, Writer = _cluster.Name, Members = members };
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
        var writer = new GroupWriter(next.ToGroup(), FindPeer, InstallAsync, _host);
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
            var member = new ShardMember(device, _host.Entropy.NewGuid());
            if (!await CreateAsync(member, mayReplace: false))
            {
                throw new ReplicaUnavailableException($"Device {device} is needed to begin shard {Number}.");
            }

            members.Add(member);
        }

        return (new ShardConfiguration(Number, 0, "", members.ToImmutable()), 0);
    }

    internal static string NameOf(int shard) => $"objects/shards/{shard}";

    [LoggerMessage(LogLevel.Information, "Shard {Shard} serves at epoch {Epoch} with replicas on devices {Devices}")]
    private partial void LogServing(int shard, ulong epoch, string devices);

    [LoggerMessage(LogLevel.Warning, "Shard {Shard}: no majority of its replicas answers at epoch {Epoch}")]
    private partial void LogNoMajority(int shard, ulong epoch);
}
