using System.Collections.Immutable;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Transport;
using Nephos.Node.Objects;

namespace Nephos.Node.Block.Cluster;

/// <summary>How a process belongs to the storage processes of a cloud.</summary>
/// <param name="Name">Of the process, which no other one has, also after a restart.</param>
/// <param name="Transport">The way to the others.</param>
/// <param name="Listen">Where they reach it; null when it has no devices and only uses the others.</param>
/// <param name="DevicesAtFirst">Until so many devices are known nothing is placed, so that what comes first has all its replicas too.</param>
public sealed record BlockCluster(string Name, IStorageTransport Transport, StorageAddress? Listen, int DevicesAtFirst);

/// <summary>The block devices of the cloud, as this process knows them: its own, and those of other processes.</summary>
/// <param name="local">Null when it has none.</param>
/// <param name="cluster">Null when it is alone.</param>
/// <param name="master">Keeps which processes there are; null when it is alone.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told of processes that come and go.</param>
internal sealed partial class BlockNodes(BlockDeviceSet? local, BlockCluster? cluster, IConfigurationMaster? master, TimeProvider time, ILogger<BlockNodes> logger)
    : IHostedService, IAsyncDisposable
{
    private static readonly TimeSpan GreetPeriod = TimeSpan.FromSeconds(1);

    private readonly ImmutableArray<LocalDevice> _local = local is null ? [] : DevicesOf(local, cluster);

    // Never disposed: it has no timer, and says whether the rest was.
    private readonly CancellationTokenSource _stop = new();
    private ImmutableDictionary<string, BlockPeer> _peers = ImmutableDictionary<string, BlockPeer>.Empty;
    private IAsyncDisposable? _listener;
    private Task _following = Task.CompletedTask;

    /// <summary>All that are known, whether they can be used or not.</summary>
    public IEnumerable<IBlockDevice> Devices => Volatile.Read(ref _peers).Values.SelectMany(peer => peer.Devices).Concat<IBlockDevice>(_local);

    /// <summary>Whether as many are known as something new is placed on.</summary>
    public bool HasEnough => Devices.Count() >= (cluster?.DevicesAtFirst ?? 0);

    public IBlockDevice? Find(string deviceId) => Guid.TryParse(deviceId, out var id) ? Devices.FirstOrDefault(device => device.Id == id) : null;

    private static ImmutableArray<LocalDevice> DevicesOf(BlockDeviceSet set, BlockCluster? cluster) =>
        [.. set.Devices.Select(store => new LocalDevice(store, cluster?.Name ?? "", set.Zone, cluster?.Listen?.Text ?? "", set.Capacities[store.DeviceId]))];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (cluster is null || master is null) return;
        if (cluster.Listen is { } address && local is not null)
        {
            var server = new DeviceServer(local, _local);
            _listener = cluster.Transport.Listen(address, server.HandleAsync);
            await RegisterAsync(new BlockNodeRecord(cluster.Name, address.Text, local.Zone, [.. _local.Select(device => device.Id)]), master, cancellationToken);
        }
        await FollowAsync(cancellationToken);
        _following = Task.Run(KeepFollowingAsync, CancellationToken.None);
    }

    private static async Task RegisterAsync(BlockNodeRecord node, IConfigurationMaster master, CancellationToken cancellationToken)
    {
        while (true)
        {
            var stored = await master.ReadAsync(BlockNodesRecord.Name, cancellationToken);
            var nodes = stored is { } known ? BlockNodesRecord.Parse(known.Value.Span) : BlockNodesRecord.Empty;
            if (await master.CompareAndSwapAsync(BlockNodesRecord.Name, stored?.Version ?? 0, nodes.With(node).ToBytes(), cancellationToken) is not null) return;
        }
    }

    private async Task KeepFollowingAsync()
    {
        using var timer = new PeriodicTimer(GreetPeriod, time);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await timer.WaitForNextTickAsync(_stop.Token);
                await FollowAsync(_stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception failure)
            {
                // Those that are known can still be used.
                LogNotFollowed(failure);
            }
        }
    }

    // Takes over which processes there are, and hears from each how it is.
    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        if (await master!.ReadAsync(BlockNodesRecord.Name, cancellationToken) is { } stored)
        {
            var wanted = BlockNodesRecord.Parse(stored.Value.Span).Nodes.Where(node => !IsThis(node)).ToList();
            var peers = Volatile.Read(ref _peers);
            var gone = peers.Values.Where(peer => !wanted.Exists(node => IsSame(node, peer.Record))).ToList();
            peers = peers.RemoveRange(gone.Select(peer => peer.Record.Name));
            foreach (var node in wanted.Where(node => !peers.ContainsKey(node.Name)))
            {
                peers = peers.Add(node.Name, new BlockPeer(node, cluster!.Transport));
                LogFound(node.Name, node.Address, node.Devices.Length);
            }
            Volatile.Write(ref _peers, peers);
            foreach (var peer in gone) await peer.DisposeAsync();
        }
        await Task.WhenAll(Volatile.Read(ref _peers).Values.Select(GreetAsync));
    }

    private bool IsThis(BlockNodeRecord node) => cluster!.Listen is not null && node.Name == cluster.Name;

    private static bool IsSame(BlockNodeRecord one, BlockNodeRecord other) =>
        one.Name == other.Name && one.Address == other.Address && one.Zone == other.Zone && one.Devices.SequenceEqual(other.Devices);

    private async Task GreetAsync(BlockPeer peer)
    {
        var before = peer.IsAnswering;
        await peer.GreetAsync();
        if (before && !peer.IsAnswering) LogAway(peer.Record.Name);
        if (!before && peer.IsAnswering) LogBack(peer.Record.Name);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        // Whoever made it may dispose it twice.
        if (_stop.IsCancellationRequested) return;
        await _stop.CancelAsync();
        await _following;
        if (_listener is not null) await _listener.DisposeAsync();
        foreach (var peer in _peers.Values) await peer.DisposeAsync();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The storage process {Node} at {Address} has {DeviceCount} block devices")]
    private partial void LogFound(string node, string address, int deviceCount);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The storage process {Node} does not answer")]
    private partial void LogAway(string node);

    [LoggerMessage(Level = LogLevel.Information, Message = "The storage process {Node} answers")]
    private partial void LogBack(string node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Which storage processes there are could not be read")]
    private partial void LogNotFollowed(Exception exception);
}
